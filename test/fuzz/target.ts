import {readdirSync, readFileSync} from 'node:fs'
import {isDumontError, type ErrorCode} from '../../src/lib/errors.js'

/** One reader of bytes that somebody else wrote, and what must hold whatever they are. */
export interface Target {
  readonly name: string
  /** It takes milliseconds, so that few runs must do where many tests wait. */
  readonly isSlow?: true
  /** Good input, to be spoilt. */
  readonly seeds: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>
  /** Rejects when a property is broken. */
  readonly run: (input: Uint8Array) => Promise<void> | void
  /** Takes away what it needed. */
  readonly end?: () => Promise<void>
}

const CORPUS = new URL('corpus/', import.meta.url)

/** What is kept for a target: every finding, and what is worth to begin with. */
export function kept(name: string): readonly Uint8Array[] {
  return filesIn(new URL(`${name}/`, CORPUS)).map((file) => readFileSync(file))
}

export function corpusFolder(name: string): URL {
  return new URL(`${name}/`, CORPUS)
}

export function filesIn(folder: URL): readonly URL[] {
  try {
    return readdirSync(folder)
      .toSorted()
      .map((name) => new URL(encodeURIComponent(name), folder))
  } catch {
    return []
  }
}

export function fixture(path: string): Buffer {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url))
}

/** The result, or undefined where the work was refused as documented: by one of these codes, in words fit for a terminal. */
export async function refusing<T>(
  codes: readonly ErrorCode[],
  work: () => Promise<T> | T,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isDumontError(error) || !codes.includes(error.code)) throw error
    insist(isPlain(error.message) && isPlain(error.hint ?? ''), 'an error that drives the terminal')
    insist(error.message.length < 5000, 'an error without end')
    return undefined
  }
}

/** Whether text can neither drive a terminal nor turn what stands beside it around. */
export function isPlain(text: string): boolean {
  return !/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text)
}

export function insist(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`broken: ${what}`)
}

export function textOf(input: Uint8Array): string {
  return Buffer.from(input.buffer, input.byteOffset, input.length).toString('utf8')
}

export function bufferOf(input: Uint8Array): Buffer {
  return Buffer.from(input.buffer, input.byteOffset, input.length)
}
