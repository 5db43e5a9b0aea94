import {DumontError, isDumontError} from '../errors.js'

/** Rejects with the reason the caller gave, or INTERRUPTED, once the signal is aborted. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interruption(signal)
}

export function interruption(signal: AbortSignal): DumontError {
  const reason: unknown = signal.reason
  if (isDumontError(reason)) return reason
  return new DumontError('INTERRUPTED', 'interrupted', {cause: reason, retry: 'later'})
}
