import {createInterface} from 'node:readline'
import {PassThrough} from 'node:stream'
import * as v from 'valibot'
import type {RemoteProcess, Session} from '../../src/lib/remote/session.js'
import type {MessageOf, WorkerMessage} from '../../src/lib/worker/protocol.js'
import {operatorMessage, type OperatorMessage} from '../../src/lib/worker/requests.js'

export const HELLO: MessageOf<'hello'> = {
  type: 'hello',
  protocol: 1,
  worker: '0.1.0',
  host: {
    box: 'b'.repeat(64),
    boot: 'boot-1',
    os: 'Debian 12',
    kernel: '6.1',
    arch: 'x86_64',
    python: '3.12.1',
    cpus: 2,
    memory: 4e9,
    gpus: [],
  },
  home: '/root',
  capabilities: ['planes2', 'planes4', 'planes2of4', 'zstd'],
  restored: [],
}

/** A worker whose every word is written by the test; it refuses whatever the protocol does not know. */
export class ScriptedWorker {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly exited: Promise<number>
  /** Everything the operator's side said, heartbeats included. */
  readonly heard: OperatorMessage[] = []
  killed = false
  inputEnded = false
  exit: (code: number) => void = () => {}
  lose: (error: unknown) => void = () => {}
  readonly #waiting: {readonly type: string; readonly take: (message: OperatorMessage) => void}[] =
    []
  readonly #unread: OperatorMessage[] = []

  constructor({deaf = false}: {readonly deaf?: boolean} = {}) {
    this.exited = new Promise((resolve, reject) => {
      this.exit = (code) => {
        this.stdout.end()
        this.stderr.end()
        resolve(code)
      }
      this.lose = (error) => {
        this.stdout.end()
        this.stderr.end()
        reject(error)
      }
    })
    this.exited.catch(() => {})
    if (deaf) return
    const lines = createInterface({input: this.stdin})
    lines.on('line', (line) => {
      const message = v.safeParse(operatorMessage, JSON.parse(line))
      if (message.success) this.#hear(message.output)
      else this.lose(new Error(`the operator's side said what no worker knows: ${line}`))
    })
    lines.on('close', () => {
      this.inputEnded = true
      this.onInputEnd()
    })
  }

  /** What a good worker does when its stdin ends. */
  onInputEnd: () => void = () => this.exit(0)

  get process(): RemoteProcess {
    const {stdin, stdout, stderr, exited} = this
    return {stdin, stdout, stderr, exited, kill: () => this.#kill()}
  }

  /** A session on which only this worker runs. */
  session(options: {readonly isLocal?: boolean; readonly lost?: Promise<never>} = {}): Session {
    return {
      label: 'root@gpu1:22',
      isLocal: options.isLocal ?? false,
      lost: options.lost ?? new Promise<never>(() => {}),
      start: () => Promise.resolve(this.process),
      exec: (argv) =>
        argv.join() === 'true'
          ? Promise.resolve({code: 0, stderr: '', stdout: new Uint8Array()})
          : Promise.reject(new Error('not scripted')),
      forward: () => Promise.reject(new Error('not scripted')),
      close: () => Promise.resolve(),
    }
  }

  greet(hello: Partial<MessageOf<'hello'>> = {}): this {
    this.stdout.write('dumont-worker 1\n')
    return this.say({...HELLO, ...hello})
  }

  say(message: WorkerMessage): this {
    this.stdout.write(`${JSON.stringify(message)}\n`)
    return this
  }

  raw(text: string): this {
    this.stdout.write(text)
    return this
  }

  /** The next message of this type that was not yet taken. */
  hears<T extends OperatorMessage['type']>(type: T): Promise<Extract<OperatorMessage, {type: T}>> {
    const at = this.#unread.findIndex((message) => message.type === type)
    const found = at === -1 ? undefined : this.#unread.splice(at, 1)[0]
    return new Promise((resolve) => {
      const take = (message: OperatorMessage) =>
        resolve(message as Extract<OperatorMessage, {type: T}>)
      if (found) take(found)
      else this.#waiting.push({type, take})
    })
  }

  #hear(message: OperatorMessage): void {
    this.heard.push(message)
    const at = this.#waiting.findIndex(({type}) => type === message.type)
    if (at === -1) this.#unread.push(message)
    else this.#waiting.splice(at, 1)[0]?.take(message)
  }

  #kill(): void {
    this.killed = true
    this.lose(Object.assign(new Error('killed'), {name: 'DumontError', code: 'UNREACHABLE'}))
  }
}
