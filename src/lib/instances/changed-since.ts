import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'
import {placeOf} from './box-places.js'
import {boxMounts, censusOutside} from './census.js'
import {CoverageLedger} from './coverage-ledger.js'
import {packageFiles} from './package-files.js'
import type {Receipt, Refusal} from './receipt-terms.js'
import {proveStillness} from './stillness-proof.js'

const SHOWN = 20

/** The kernel stamps files by a clock that ticks this seldom, at worst. Milliseconds. */
const TICK_MS = 20

/** Seconds since the epoch by the box's clock: no file that is written from now on has an earlier change time. */
export async function boxTime(tools: BoxTools, signal?: AbortSignal): Promise<number> {
  const text = await textOf(tools, ['date', '+%s%3N'], signal ? {signal} : {})
  if (/^\d{13}\n?$/.test(text)) return (Number(text) - TICK_MS) / 1000
  throw new DumontError('WORKER', 'date on the box answers with what it was not asked')
}

/**
 * Looks once more at every disk of the instance, in the roots and outside them: what was written since the proof began is in no
 * snapshot. Nor may anybody be about to write.
 */
export async function changedSince(
  tools: BoxTools,
  {discarded, watched}: Pick<Receipt, 'discarded' | 'watched'>,
  signal?: AbortSignal,
): Promise<readonly Refusal[]> {
  const {roots, since, survives} = watched
  const {refusals} = await proveStillness(tools, roots, signal)
  const discard = discarded.map((path) => placeOf(Buffer.from(path, 'utf8')))
  const ledger = new CoverageLedger(discard, roots)
  const birth = {contained: true, evidence: 'the receipt', since}
  const mounts = await boxMounts(tools, signal)
  const scope = {after: since, birth, mounts, roots: [], saved: new Set<string>(), survives}
  await censusOutside(tools, scope, ledger, signal)
  if (ledger.doubtful.size > 0)
    ledger.excuse((await packageFiles(tools, ledger.doubtful, signal)).intact, 'packages')
  const {missing} = ledger
  if (missing.files === 0) return refusals
  const changed: Refusal = {
    bytes: missing.bytes,
    message: `${missing.files} files were written after they were proven: ${missing
      .paths(3)
      .map(({path}) => path)
      .join(', ')}`,
    paths: missing.paths(SHOWN),
    remedy: 'hibernate again when it is quiet (--stop-processes, --freeze)',
    rule: 'stillness',
  }
  return [...refusals, changed]
}
