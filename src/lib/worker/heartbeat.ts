import type {Clock} from '../clock.js'

const HEARTBEAT_MS = 10_000
/** After so long without a word the other side counts as gone. */
export const SILENCE_MS = 60_000

/**
 * Sends a sign of life every ten seconds until `over` is aborted (false), or until nothing was heard for a minute (true).
 * `heard` tells when the last word came.
 */
export async function beat(
  clock: Clock,
  {heard, send}: {readonly heard: () => number; readonly send: () => Promise<void>},
  over: AbortSignal,
): Promise<boolean> {
  for (;;) {
    await clock.sleep(HEARTBEAT_MS, over).catch(() => {})
    if (over.aborted) return false
    if (clock.now() - heard() >= SILENCE_MS) return true
    // Not waited for: a reader that takes nothing must not keep its silence from being noticed.
    send().catch(() => {})
  }
}
