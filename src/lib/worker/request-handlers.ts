import type {GrantedUrl, Reply} from './requests.js'
import {
  offProtocol,
  type CheckedPack,
  type HopelessObject,
  type LostEntry,
  type MessageOf,
  type ObjectToSign,
  type PackClaim,
  type RepairedObject,
  type WorkerMessage,
  type WorkerProgress,
  type WorkerWarning,
} from './protocol.js'

/**
 * What the operator's side does for the worker while a request runs. A handler that is left out is refused. One that
 * rejects ends the request with its error: a worker that asks for what it must not have is never argued with.
 */
export interface RequestHandlers {
  readonly sign?: (objects: readonly ObjectToSign[]) => Promise<readonly GrantedUrl[]>
  /** `raw`: as they are stored, with nothing that opens them. */
  readonly fetch?: (keys: readonly string[], raw?: boolean) => Promise<readonly GrantedUrl[]>
  readonly settle?: (key: string) => Promise<boolean>
  readonly earlier?: (packs: readonly PackClaim[]) => Promise<readonly string[]>
  /** Where nvCOMP lies on the box, installed if need be; undefined when it cannot or may not be had. */
  readonly nvcomp?: () => Promise<string | undefined>
  readonly confirm?: (question: MessageOf<'confirm'>) => Promise<boolean>
  readonly lost?: (entry: LostEntry) => void
  readonly checked?: (pack: CheckedPack) => void
  readonly repaired?: (object: RepairedObject) => void
  readonly hopeless?: (object: HopelessObject) => void
  readonly progress?: (progress: WorkerProgress) => void
  readonly warning?: (warning: WorkerWarning) => void
}

/** Messages that want an answer. */
export type Question = MessageOf<'confirm' | 'earlier' | 'fetch' | 'nvcomp' | 'settle' | 'sign'>

export function isQuestion(message: WorkerMessage): message is Question {
  return ['confirm', 'earlier', 'fetch', 'nvcomp', 'settle', 'sign'].includes(message.type)
}

/** The reply to one question. */
export async function answer(question: Question, handlers: RequestHandlers): Promise<Reply> {
  return {type: 'reply', to: question.id, ...(await body(question, handlers))}
}

async function body(question: Question, handlers: RequestHandlers): Promise<Partial<Reply>> {
  const {type} = question
  if (type === 'sign') return {urls: [...(await granted(type, handlers.sign)(question.objects))]}
  if (type === 'fetch')
    return {urls: [...(await granted(type, handlers.fetch)(question.keys, question.raw))]}
  if (type === 'settle') return {stored: await granted(type, handlers.settle)(question.key)}
  if (type === 'earlier')
    return {accepted: [...(await granted(type, handlers.earlier)(question.packs))]}
  if (type === 'nvcomp') return {nvcomp: (await granted(type, handlers.nvcomp)()) ?? null}
  return {yes: await granted(type, handlers.confirm)(question)}
}

function granted<T>(type: string, handler: T | undefined): T {
  if (handler) return handler
  throw offProtocol(`a ${type} request that does not belong to what it was asked to do`)
}
