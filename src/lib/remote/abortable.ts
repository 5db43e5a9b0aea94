/** The promise, or the signal's reason if that comes first. What the promise does later is nobody's concern then. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, {once: true})
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
