import {DumontError} from '../errors.js'
import {interruption, throwIfInterrupted} from './interruption.js'

/** Silence of a peer after which a transfer counts as failed. */
export const IDLE_MS = 30_000

/**
 * The same for a connection to our gateway: an SSH channel takes data in steps of a MiB, and on a slow line 32 of them wait
 * for one another. That the box is gone is noticed by the SSH connection itself.
 */
export const GATEWAY_IDLE_MS = 300_000

/**
 * Passes a body on, but fails (UNREACHABLE) when the next piece is not there within `idleMs`, and at once when the
 * signal is aborted: a silent socket must not hold a transfer for ever.
 */
export async function* withoutSilence(
  body: AsyncIterable<Uint8Array>,
  idleMs: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const pieces = body[Symbol.asyncIterator]()
  let finished = false
  try {
    for (;;) {
      throwIfInterrupted(signal)
      const next = await within(pieces.next(), idleMs, signal)
      if (next.done) {
        finished = true
        return
      }
      yield next.value
    }
  } finally {
    // Not awaited: a generator that hangs in next() would never answer return() either.
    if (!finished) pieces.return?.().catch(() => {})
  }
}

function within<T>(promise: Promise<T>, milliseconds: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const onAbort = () => settle(() => reject(interruption(signal as AbortSignal)))
    const timer = setTimeout(
      () =>
        settle(() =>
          reject(
            new DumontError('UNREACHABLE', `no data for ${milliseconds / 1000} s`, {retry: 'now'}),
          ),
        ),
      milliseconds,
    )
    signal?.addEventListener('abort', onAbort, {once: true})
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}
