import {gunzipSync} from 'node:zlib'
import {DumontError} from '../../src/lib/errors.js'
import type {Store} from '../../src/lib/store/store.js'
import type {WorkerMessage} from '../../src/lib/worker/protocol.js'
import {answer, isQuestion, type RequestHandlers} from '../../src/lib/worker/request-handlers.js'
import type {CreateRequest, OperatorMessage} from '../../src/lib/worker/requests.js'
import type {CreateResult} from '../../src/lib/worker/results.js'
import {GoodWorker, type Bends} from '../lib/snapshots/good-worker.js'

type Heard<T> = Extract<OperatorMessage, {type: T}>

interface Talk {
  readonly handlers: RequestHandlers
  /** Given out once. */
  requests: readonly CreateRequest[]
  readonly result: (result: CreateResult) => void
  readonly fail: (error: unknown) => void
  reply: Promise<unknown>
}

/** A new one each time: whoever waits for a promise is kept by it. */
const never = () => new Promise<never>(() => {})
/** Of the worker that is being made: its constructor speaks before any field of its own can be set. */
let begun: Talk | undefined

/** The good worker without a line in between: what it says is answered within the same turn of the event loop. */
class DirectWorker extends GoodWorker {
  declare talk: Talk | undefined

  override say(message: WorkerMessage): this {
    const talk = talkOf(this)
    if (message.type === 'progress') talk.handlers.progress?.(message)
    if (message.type === 'warning') talk.handlers.warning?.(message)
    if (message.type === 'result') talk.result(message as unknown as CreateResult)
    if (isQuestion(message)) talk.reply = answer(message, talk.handlers).catch(failed(talk.fail))
    return this
  }

  override hears<T extends OperatorMessage['type']>(type: T): Promise<Heard<T>> {
    const talk = talkOf(this)
    if (type !== 'create') return talk.reply as Promise<Heard<T>>
    const [request] = talk.requests
    talk.requests = []
    return request ? Promise.resolve({id: 1, ...request} as unknown as Heard<T>) : never()
  }
}

function talkOf(worker: DirectWorker): Talk {
  worker.talk ??= begun
  if (!worker.talk) throw new Error('made by itself')
  return worker.talk
}

/** Has a good worker make a snapshot of these files; it asks through the handlers and stores objects by itself. */
export function createDirectly(
  store: Store,
  bends: Bends,
  {handlers, request}: {readonly handlers: RequestHandlers; readonly request: CreateRequest},
): Promise<CreateResult> {
  return new Promise((result, fail) => {
    begun = {handlers, requests: [request], result, fail, reply: never()}
    const reading: Pick<Store, 'get' | 'put'> = {
      get: async (...asked) => {
        const bytes = await store.get(...asked).catch(failed(fail))
        // The real one compares the digest.
        return isGzip(bytes) ? bytes : failed(fail)(damaged(asked[0]))
      },
      put: (...given) => store.put(...given).catch(failed(fail)),
    }
    // It begins by itself, and is kept by what it waits for.
    void new DirectWorker(reading as Store, bends)
    begun = undefined
  })
}

/** Ends the request with the error; the worker never hears of it. */
function failed(fail: (error: unknown) => void) {
  return (error: unknown): Promise<never> => {
    fail(error)
    return never()
  }
}

function isGzip(bytes: Uint8Array): boolean {
  try {
    gunzipSync(bytes)
    return true
  } catch {
    return false
  }
}

function damaged(key: string): DumontError {
  return new DumontError('INTEGRITY', `${key} is damaged`)
}
