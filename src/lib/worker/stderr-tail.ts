import {untrusted} from '../untrusted.js'

const KEPT = 8 * 1024

/** Reads a stream to its end and keeps only its last 8 KiB, for messages. */
export function keepTail(stream: NodeJS.ReadableStream): () => string {
  let tail = Buffer.alloc(0)
  stream.on('data', (piece: Uint8Array | string) => {
    const joined = Buffer.concat([tail, typeof piece === 'string' ? Buffer.from(piece) : piece])
    tail = joined.subarray(Math.max(0, joined.length - KEPT))
  })
  // The end of the program is told by its exit status; a broken stderr adds nothing.
  stream.on('error', () => {})
  return () => lastLines(tail.toString('utf8'))
}

/** The last lines of what the box wrote, each made harmless. */
function lastLines(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines
    .slice(-8)
    .map((line) => untrusted(line, 300))
    .join('\n')
}
