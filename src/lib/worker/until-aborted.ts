import {interruption} from '../store/interruption.js'

/** The promise's outcome, or the signal's reason as soon as it is aborted; what the promise does then is not awaited. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(interruption(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, {once: true})
    const disarm = () => signal.removeEventListener('abort', abort)
    promise.then(resolve, reject).finally(disarm)
  })
}
