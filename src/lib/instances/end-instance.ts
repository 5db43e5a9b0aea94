import type {Clock} from '../clock.js'
import type {DestroyProof} from '../providers/destroy-proof.js'
import {isProviderError} from '../providers/provider-error.js'
import type {Instance, Provider} from '../providers/provider.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {isPassing} from './vendor-failure.js'

/** One contract: the id with the time at which it began, as ids may be given out again. */
export interface Contract {
  readonly id: string
  readonly createdAt: number | undefined
}

interface Ending {
  readonly provider: Provider
  readonly clock: Clock
}

/** `alive`: it is certainly there and was not ended; `unclear`: nobody can say, so it must be named. */
export type End =
  | {readonly kind: 'gone'}
  | {readonly kind: 'alive'; readonly error: unknown}
  | {readonly kind: 'unclear'; readonly error?: unknown}

const TRIES_MS = [3000, 6000, 12_000]
/** Between two readings that both must lack it. */
const APART_MS = 10_000
/** A record may stay for a while after its end: about three minutes. */
const READINGS = 18

/** Asks the vendor to end a contract, again where nobody heard the answer, and looks whether it came. */
export async function endInstance(
  contract: Contract,
  proof: DestroyProof,
  ending: Ending,
  signal?: AbortSignal,
): Promise<End> {
  const failure = await askForEnd(contract, proof, ending, signal)
  // What was refused outright has changed nothing.
  if (failure !== undefined && !isPassing(failure)) return {kind: 'alive', error: failure}
  const isGone = await confirmGone(contract, ending, signal)
  if (isGone) return {kind: 'gone'}
  return {kind: 'unclear', ...(failure === undefined ? {} : {error: failure})}
}

/**
 * Whether the account lacks the contract: two readings at least ten seconds apart and a full list say so. The caller answers
 * for it that this account has seen it alive.
 */
export async function confirmGone(
  {createdAt, id}: Contract,
  {clock, provider}: Ending,
  signal?: AbortSignal,
): Promise<boolean> {
  const isIt = (seen: Instance) =>
    seen.id === id &&
    seen.phase !== 'gone' &&
    (createdAt === undefined || seen.createdAt === undefined || seen.createdAt === createdAt)
  let missedAt: number | undefined
  for (let reading = 0; reading < READINGS; reading += 1) {
    const seen = await reads(() => provider.get(id, signal), signal)
    if (seen !== undefined && isIt(seen)) missedAt = undefined
    if (seen !== undefined && !isIt(seen)) {
      if (missedAt !== undefined && clock.now() - missedAt >= APART_MS) {
        const all = await reads(() => provider.list(undefined, signal), signal)
        if (all !== undefined && !all.some(isIt)) return true
      }
      missedAt ??= clock.now()
    }
    if (reading < READINGS - 1) await clock.sleep(APART_MS, signal)
  }
  return false
}

/** Undefined when it was accepted; else why not. */
async function askForEnd(
  {id}: Contract,
  proof: DestroyProof,
  {clock, provider}: Ending,
  signal?: AbortSignal,
): Promise<unknown> {
  if (!provider.destroy) return new Error(`${provider.name} cannot destroy`)
  for (let attempt = 0; ; attempt += 1) {
    try {
      await provider.destroy(id, proof, signal)
      return undefined
    } catch (error) {
      throwIfInterrupted(signal)
      if (!isProviderError(error)) throw error
      if (error.failure === 'NOT_FOUND') return undefined
      const wait = TRIES_MS[attempt]
      if (!isPassing(error) || wait === undefined) return error
      await clock.sleep(wait, signal)
    }
  }
}

/** A reading that failed says nothing: neither that it is there nor that it is not. */
async function reads<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    throwIfInterrupted(signal)
    if (!isProviderError(error)) throw error
    return undefined
  }
}
