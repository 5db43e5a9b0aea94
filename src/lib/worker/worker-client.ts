import type {Clock} from '../clock.js'
import type {Session} from '../remote/session.js'
import {interruption} from '../store/interruption.js'
import {Conversation} from './conversation.js'
import type {EquippedBox} from './equip-box.js'
import type {Hello} from './protocol.js'
import type {RequestHandlers} from './request-handlers.js'
import type {
  CreateRequest,
  RateRequest,
  RepairRequest,
  RestoreRequest,
  TranscodeRequest,
  VerifyRequest,
} from './requests.js'
import {
  createResult,
  rateResult,
  repairResult,
  restoreResult,
  transcodeResult,
  verifyResult,
  type CreateResult,
  type RateResult,
  type RepairResult,
  type RestoreResult,
  type TranscodeResult,
  type VerifyResult,
} from './results.js'

/** A worker on a box that has said hello. */
export interface Worker {
  readonly hello: Hello
  /** Rejects with the worker's error, WORKER when it ended or broke the protocol, UNREACHABLE, INTERRUPTED. */
  create(
    request: CreateRequest,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<CreateResult>
  restore(
    request: RestoreRequest,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<RestoreResult>
  /** Tells of objects with `repaired` and `hopeless`. */
  repair(
    request: RepairRequest,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<RepairResult>
  transcode(
    request: TranscodeRequest,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<TranscodeResult>
  /** Tells of packs with `checked`; whatever it says is only said. */
  verify(
    request: VerifyRequest,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<VerifyResult>
  /** Sends and fetches a few objects. */
  rate(request: RateRequest, handlers: RequestHandlers, signal?: AbortSignal): Promise<RateResult>
  /** Ends the worker within two seconds. Idempotent. */
  close(): Promise<void>
}

/** Starts the worker, unless equipping the box has started it already, and waits for its hello. */
export async function startWorker(
  session: Session,
  {argv, running: started}: Pick<EquippedBox, 'argv' | 'running'>,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Worker> {
  if (signal?.aborted) {
    started?.kill()
    throw interruption(signal)
  }
  const running = started ?? (await session.start(argv, signal))
  const conversation = new Conversation(running, session, clock)
  try {
    const hello = await conversation.open(signal)
    return {
      hello,
      create: (request, handlers, cancel) =>
        conversation.request(request, createResult, handlers, cancel),
      restore: (request, handlers, cancel) =>
        conversation.request(request, restoreResult, handlers, cancel),
      repair: (request, handlers, cancel) =>
        conversation.request(request, repairResult, handlers, cancel),
      transcode: (request, handlers, cancel) =>
        conversation.request(request, transcodeResult, handlers, cancel),
      verify: (request, handlers, cancel) =>
        conversation.request(request, verifyResult, handlers, cancel),
      rate: (request, handlers, cancel) =>
        conversation.request(request, rateResult, handlers, cancel),
      close: () => conversation.close(),
    }
  } catch (error) {
    await conversation.close()
    throw error
  }
}
