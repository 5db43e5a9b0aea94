import type {Readable} from 'node:stream'

import {DumontError} from '../errors.js'

const LIMIT = 1024 * 1024

/** Collects a stream up to 1 MiB; more calls `overflow` once and is thrown away. */
export function collect(stream: NodeJS.ReadableStream, overflow: () => void): () => Buffer {
  const chunks: Buffer[] = []
  let length = 0
  ;(stream as Readable).on('data', (chunk: Buffer) => {
    if (length > LIMIT) return
    length += chunk.length
    if (length > LIMIT) overflow()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks)
}

export function tooMuchOutput(label: string, program: string): DumontError {
  return new DumontError('WORKER', `${program} on ${label} printed more than 1 MiB`)
}
