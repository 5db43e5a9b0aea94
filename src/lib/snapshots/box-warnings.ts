import {displayByteString, type ByteString} from '../format/byte-string.js'
import type {Report} from '../progress/events.js'
import {untrusted} from '../untrusted.js'
import {offProtocol, type WorkerWarning} from '../worker/protocol.js'

/** One warning as a manifest and a summary keep it; texts are harmless to show. */
export interface BoxWarning {
  readonly code: string
  readonly path: ByteString
  readonly message: string
}

/** A thousand, and one that counts the rest: views keep what they are told until the end. */
const MOST = 1001

/** Collects a worker's warnings: tells each, keeps the first twenty. A flood is off the protocol (WORKER). */
export class BoxWarnings {
  readonly #report: Report
  readonly #host: string
  readonly #first: BoxWarning[] = []
  #count = 0
  #messages = 0

  constructor(report: Report, host: string) {
    this.#report = report
    this.#host = host
  }

  get count(): number {
    return this.#count
  }

  get first(): readonly BoxWarning[] {
    return this.#first
  }

  add({code, count, message = '', path}: WorkerWarning): void {
    this.#messages += 1
    if (this.#messages > MOST) throw offProtocol(`more than ${MOST} warnings`)
    const text = untrusted(message, 200)
    this.#count += code === 'more' ? (count ?? 1) : 1
    if (this.#first.length < 20 && path !== undefined && displayByteString(path).length <= 500)
      this.#first.push({code, path, message: text})
    const shown = path === undefined || path === '' ? {} : {path: displayByteString(path, 500)}
    this.#report({
      kind: 'warning',
      code,
      message: code === 'more' ? `${count ?? 'some'} more warnings` : text,
      host: this.#host,
      ...shown,
    })
  }
}
