import {formatBytes} from '../lib/bytes.js'
import type {VerifyResult} from '../lib/snapshots/verify-snapshot.js'
import {untrusted} from '../lib/untrusted.js'
import {duration} from './part-window.js'

const MOST_FILES = 20

/** The verdict of `snapshot verify`. */
export function describeVerify(result: VerifyResult): string {
  const read =
    result.level === 'listed'
      ? ''
      : ` · ${result.packsRead} read (${formatBytes(result.bytesRead)}, ${result.chunksRead} chunks)`
  const scope = `${result.id}: ${result.packs} packs listed${read} · ${duration(result.seconds * 1000)}`
  if (result.damaged.length === 0) return `${scope}\nwhole at level ${result.level}`
  const packs = result.damaged.map(
    ({key, reason}) => `  ${untrusted(key, 200)}: ${untrusted(reason, 200)}`,
  )
  const files = result.damagedFiles.slice(0, MOST_FILES).map((file) => `  ${file}`)
  const more = result.damagedFiles.length - files.length
  return [
    scope,
    `DAMAGED: ${result.damaged.length} packs`,
    ...packs,
    `${result.damagedFiles.length} files cannot come back whole:`,
    ...files,
    ...(more > 0 ? [`  … and ${more} more (--json names them all)`] : []),
  ].join('\n')
}
