import type {RepairResult} from '../lib/snapshots/repair-snapshot.js'
import {untrusted} from '../lib/untrusted.js'
import {duration} from './part-window.js'

const MOST = 20

/** The verdict of `snapshot repair`. */
export function describeRepair({damaged, hopeless, id, repaired, seconds}: RepairResult): string {
  const time = duration(seconds * 1000)
  if (damaged.length === 0 && repaired.length === 0)
    return `${id}: nothing is damaged or missing · ${time}`
  const why = new Map(hopeless.map(({key, message}) => [key, message]))
  return [
    `${id}: ${repaired.length} objects made again and proven · ${time}`,
    ...shown(repaired.map((key) => untrusted(key, 200))),
    ...(damaged.length === 0
      ? ['nothing is damaged any more']
      : [`DAMAGED still: ${damaged.length}`]),
    ...shown(
      damaged.map(
        ({key, reason}) => `${untrusted(key, 200)}: ${untrusted(why.get(key) ?? reason, 300)}`,
      ),
    ),
    ...(damaged.length === 0
      ? []
      : [
          `dumont snapshot verify ${id} names the files that cannot come back whole; restore --salvage brings back all others`,
        ]),
  ].join('\n')
}

function shown(lines: readonly string[]): string[] {
  const more = lines.length - MOST
  return [
    ...lines.slice(0, MOST).map((line) => `  ${line}`),
    ...(more > 0 ? [`  … and ${more} more (--json names them all)`] : []),
  ]
}
