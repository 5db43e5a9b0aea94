import {DumontError, isDumontError} from '../errors.js'
import {sendSigned, type AnyRequest} from './signed-http.js'

const ATTEMPTS = 3

/** What became of a request made the way a box does: `taken` where the store did it. */
export interface Trial {
  readonly taken: boolean
  /** 0 where the store hung up on it, which refuses it too. */
  readonly status: number
}

/** Makes a request to find out whether it is refused. Rejects (STORE_BUSY) when the store has no time to say. */
export async function trySigned(
  url: string,
  request: AnyRequest,
  body?: Uint8Array,
  signal?: AbortSignal,
): Promise<Trial> {
  for (let attempt = 1; ; attempt++) {
    const status = await statusOf(request, body, signal)
    if (status >= 200 && status < 300) return {taken: true, status}
    const isBusy = status === 429 || (status >= 500 && status !== 501)
    if (!isBusy) return {taken: false, status}
    if (attempt === ATTEMPTS)
      throw new DumontError('STORE_BUSY', `${url} could not be tested: it answers HTTP ${status}`, {
        retry: 'later',
      })
  }
}

async function statusOf(
  request: AnyRequest,
  body: Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    return (await sendSigned(request, body, signal)).status
  } catch (error) {
    if (isDumontError(error) && error.code === 'UNREACHABLE') return 0
    throw error
  }
}
