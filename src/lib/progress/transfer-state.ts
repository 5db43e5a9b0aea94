import type {TransferProgress} from './events.js'

/** What the views show of a transfer: the newest facts and what follows from their history. */
export interface TransferState {
  readonly progress: TransferProgress
  /** Bytes a second over the network, smoothed over about five seconds. */
  readonly rate: number
  /** Raw bytes a second, smoothed alike. */
  readonly rawRate: number
  /** Milliseconds to go; undefined while nothing moves or the total is unknown. */
  readonly eta: number | undefined
  /** Stored bytes by raw bytes so far; undefined before anything was stored. */
  readonly ratio: number | undefined
  /** When `progress` came, in milliseconds of the clock. */
  readonly at: number
}

const SMOOTHING_MS = 5000

/** Folds one progress message into the state; a repeated attempt may take bytes back. */
export function advance(
  state: TransferState | undefined,
  progress: TransferProgress,
  now: number,
): TransferState {
  const rate = smoothed(
    state?.rate,
    progress.transferred - (state?.progress.transferred ?? 0),
    state,
    now,
  )
  const rawRate = smoothed(state?.rawRate, progress.raw - (state?.progress.raw ?? 0), state, now)
  return {
    at: now,
    eta: remaining(progress, rawRate),
    progress,
    rate,
    ratio: progress.raw > 0 && progress.stored > 0 ? progress.stored / progress.raw : undefined,
    rawRate,
  }
}

/** Exponential smoothing by elapsed time, so that the message interval does not matter. */
function smoothed(
  previous: number | undefined,
  gained: number,
  state: TransferState | undefined,
  now: number,
): number {
  if (state === undefined) return 0
  const elapsed = now - state.at
  if (elapsed <= 0) return previous ?? 0
  const current = (Math.max(0, gained) * 1000) / elapsed
  const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS)
  return previous === undefined || previous === 0
    ? current
    : previous + weight * (current - previous)
}

function remaining(progress: TransferProgress, rawRate: number): number | undefined {
  const left = progress.rawTotal - progress.raw
  if (progress.rawTotal === 0 || left <= 0 || rawRate <= 0) return undefined
  return Math.round((left / rawRate) * 1000)
}
