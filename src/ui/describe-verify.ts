import {formatBytes} from '../lib/bytes.js'
import type {VerifyResult} from '../lib/snapshots/verify-snapshot.js'
import type {BrokenSnapshot, VerifyManyResult} from '../lib/snapshots/verify-snapshots.js'
import {untrusted} from '../lib/untrusted.js'
import {duration} from './part-window.js'

const MOST_FILES = 20

/** What `--json` answers: of one snapshot its own result, with `--all` one for each. */
export type VerifyAnswer = VerifyManyResult | (VerifyResult & Run)

/** What is known only of a run as a whole. */
interface Run {
  readonly asserted: boolean
  readonly packsEarlier: number
}

export function verifyAnswer(result: VerifyManyResult, all: boolean): VerifyAnswer {
  const [only] = result.snapshots
  if (all || !only) return result
  const {asserted, packsEarlier} = result
  return {...only, asserted, packsEarlier}
}

/** Whether something is not as it was stored. */
export function isDamaged({broken, snapshots}: VerifyManyResult): boolean {
  return broken.length > 0 || snapshots.some(({damaged}) => damaged.length > 0)
}

/** The verdict of `snapshot verify`. */
export function describeVerify(result: VerifyManyResult, all: boolean): string {
  const {broken, level, snapshots} = result
  const bad = snapshots.filter(({damaged}) => damaged.length > 0)
  const scope = `${all ? `${snapshots.length + broken.length} snapshots` : (snapshots[0]?.id ?? '')}: ${described(result)}`
  if (!isDamaged(result)) return `${scope}\n${wholeAt(result)}`
  const whole = snapshots.length - bad.length
  return [
    scope,
    ...(whole > 0 ? [`${whole} snapshots are whole at level ${level}`] : []),
    ...bad.flatMap((one) => damage(one, all)),
    ...broken.map(unusable),
    ...advice(result),
  ].join('\n')
}

function advice({broken, snapshots}: VerifyManyResult): string[] {
  const all = snapshots.flatMap(({damaged}) => damaged)
  const isLost = broken.length > 0 || snapshots.some(({files}) => files.lost > 0)
  return [
    ...(all.some(({repairable}) => repairable)
      ? ['dumont snapshot repair ID --host BOX makes again what parity gives back']
      : []),
    ...(isLost ? ['dumont snapshot restore ID --salvage brings back what is whole'] : []),
  ]
}

function described({
  bytesRead,
  level,
  packs,
  packsEarlier,
  packsRead,
  seconds,
  snapshots,
}: VerifyManyResult) {
  const chunks = snapshots.reduce((sum, {chunksRead}) => sum + chunksRead, 0)
  const read =
    level === 'listed' ? '' : ` · ${packsRead} read (${formatBytes(bytesRead)}, ${chunks} chunks)`
  const earlier = packsEarlier > 0 ? ` · ${packsEarlier} by the run that this continues` : ''
  return `${packs} packs listed${read}${earlier} · ${duration(seconds * 1000)}`
}

function wholeAt({asserted, level}: VerifyManyResult): string {
  const by = asserted ? '; the packs were read by the box, whose word it is' : ''
  return `whole at level ${level}${by}`
}

function damage({damaged, damagedFiles, files, id}: VerifyResult, all: boolean): string[] {
  const packs = damaged.map(
    ({key, reason, repairable}) =>
      `  ${untrusted(key, 200)}: ${untrusted(reason, 200)}${repairable ? ' (repairable)' : ''}`,
  )
  const shown = damagedFiles.slice(0, MOST_FILES).map((file) => `  ${file}`)
  const more = damagedFiles.length - shown.length
  return [
    `${all ? `${id} is ` : ''}DAMAGED: ${damaged.length} packs`,
    ...packs,
    damagedFiles.length === 0
      ? `all ${files.whole} files can come back whole`
      : `${damagedFiles.length} files cannot come back whole, ${files.whole} can:`,
    ...shown,
    ...(more > 0 ? [`  … and ${more} more (--json names them all)`] : []),
  ]
}

function unusable({error, id}: BrokenSnapshot): string {
  return `${untrusted(id, 60)} is DAMAGED: ${untrusted(error.message, 300)}`
}
