import type * as v from 'valibot'
import type {Clock} from '../clock.js'
import type {RemoteProcess, Session} from '../remote/session.js'
import {beat, SILENCE_MS} from './heartbeat.js'
import {linesAfterMarker} from './line-reader.js'
import {writeMessages, type MessageWriter} from './message-writer.js'
import {
  check,
  failureOf,
  offProtocol,
  parseWorkerMessage,
  PROTOCOL,
  type Hello,
  type WorkerMessage,
} from './protocol.js'
import {answer, isQuestion, type Question, type RequestHandlers} from './request-handlers.js'
import type {WorkRequest} from './requests.js'
import {keepTail} from './stderr-tail.js'
import {untilAborted} from './until-aborted.js'
import {endedEarly, otherVersion, silent} from './worker-failures.js'

/** Time a worker has between `cancel` and being killed. */
const GRACE_MS = 2000
/** Questions the worker may have open; far above 2 · parts, so only a broken worker meets it. */
const MAX_QUESTIONS = 256

interface Pending {
  readonly id: number
  readonly handlers: RequestHandlers
  readonly settle: (message: WorkerMessage & {type: 'result' | 'error'}) => void
  readonly fail: (error: unknown) => void
}

/** The exchange of messages with one running worker: hello, heartbeats, one request at a time, the end. */
export class Conversation {
  readonly #running: RemoteProcess
  readonly #label: string
  readonly #clock: Clock
  readonly #writer: MessageWriter
  readonly #stderr: () => string
  readonly #gone = new AbortController()
  readonly #failed: Promise<never>
  readonly #exited: Promise<void>
  #fail: (error: unknown) => void = () => {}
  #greet: (hello: Hello) => void = () => {}
  #hello: Hello | undefined
  #heard: number
  #pending: Pending | undefined
  #questions = 0
  #requests = 0
  #closing: Promise<void> | undefined

  constructor(running: RemoteProcess, session: Session, clock: Clock) {
    this.#running = running
    this.#label = session.label
    this.#clock = clock
    this.#heard = clock.now()
    this.#writer = writeMessages(running.stdin, this.#gone.signal)
    this.#stderr = keepTail(running.stderr)
    this.#failed = new Promise<never>((_resolve, reject) => (this.#fail = reject))
    this.#failed.catch(() => {})
    const reading = this.#read()
    this.#exited = this.#watch(reading)
    session.lost.catch((error: unknown) => this.#fail(error))
    const {signal} = this.#gone
    beat(
      clock,
      {heard: () => this.#heard, send: () => this.#writer.write({type: 'heartbeat'})},
      signal,
    )
      .then((isSilent) => isSilent && this.#fail(silent(this.#label, SILENCE_MS)))
      .catch((error: unknown) => this.#fail(error))
  }

  async open(signal?: AbortSignal): Promise<Hello> {
    const greeted = new Promise<Hello>((resolve) => (this.#greet = resolve))
    if (this.#hello) this.#greet(this.#hello)
    const hello = await this.#unlessAborted(greeted, signal)
    if (hello.protocol !== PROTOCOL) throw otherVersion(this.#label, hello.protocol, PROTOCOL)
    return hello
  }

  close(): Promise<void> {
    this.#closing ??= this.#stop()
    return this.#closing
  }

  /** The validated result; whatever goes wrong, nothing of the request goes on running on the box. */
  async request<T extends v.GenericSchema>(
    request: WorkRequest,
    schema: T,
    handlers: RequestHandlers,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<T>> {
    if (this.#pending) throw new TypeError('one request at a time')
    const id = ++this.#requests
    const result = new Promise<v.InferOutput<T>>((resolve, reject) => {
      this.#pending = {
        id,
        handlers,
        fail: reject,
        settle: (message) =>
          message.type === 'error'
            ? reject(failureOf(message))
            : resolve(check(schema, message, `a ${request.type} result`)),
      }
    })
    result.catch(() => {})
    try {
      await this.#unlessAborted(this.#writer.write({...request, id}), signal)
      return await this.#unlessAborted(result, signal)
    } catch (error) {
      await this.close()
      throw error
    } finally {
      this.#pending = undefined
    }
  }

  #unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return untilAborted(Promise.race([promise, this.#failed]), signal)
  }

  async #read(): Promise<void> {
    try {
      for await (const line of linesAfterMarker(
        this.#running.stdout as AsyncIterable<Uint8Array>,
      )) {
        this.#heard = this.#clock.now()
        this.#take(parseWorkerMessage(line))
      }
    } catch (error) {
      this.#fail(error)
      this.#running.kill()
    }
  }

  #take(message: WorkerMessage): void {
    if (message.type === 'heartbeat') return
    if (message.type === 'hello') {
      if (this.#hello) throw offProtocol('a second hello')
      this.#hello = message
      return this.#greet(message)
    }
    const pending = this.#pending
    if (message.type === 'error' && !pending) return this.#fail(failureOf(message))
    // What was on its way when a request ended is no offence.
    if (!pending) return
    if (message.type === 'progress') return pending.handlers.progress?.(message)
    if (message.type === 'warning') return pending.handlers.warning?.(message)
    if (message.type === 'lost') return pending.handlers.lost?.(message)
    if (message.type === 'checked') return pending.handlers.checked?.(message)
    if (message.type === 'repaired') return pending.handlers.repaired?.(message)
    if (message.type === 'hopeless') return pending.handlers.hopeless?.(message)
    if (isQuestion(message)) return this.#ask(message, pending)
    if (message.type === 'result' && message.to !== pending.id)
      throw offProtocol('a result of nothing that was asked')
    pending.settle(message)
  }

  /** On a task of its own: reading goes on while the store is asked. */
  #ask(question: Question, pending: Pending): void {
    if (++this.#questions > MAX_QUESTIONS)
      throw offProtocol(`more than ${MAX_QUESTIONS} open requests`)
    answer(question, pending.handlers)
      .then((reply) => this.#writer.write(reply))
      .catch((error: unknown) => pending.fail(error))
      .finally(() => this.#questions--)
  }

  async #watch(reading: Promise<void>): Promise<void> {
    try {
      const code = await this.#running.exited
      await reading
      this.#fail(endedEarly(this.#label, code, this.#stderr()))
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#gone.abort()
    }
  }

  async #stop(): Promise<void> {
    const timer = new AbortController()
    const grace = this.#clock.sleep(GRACE_MS, timer.signal).catch(() => {})
    await Promise.race([this.#writer.write({type: 'cancel'}), grace, this.#exited])
    this.#writer.end()
    await Promise.race([this.#exited, grace])
    timer.abort()
    if (!this.#gone.signal.aborted) this.#running.kill()
    this.#gone.abort()
  }
}
