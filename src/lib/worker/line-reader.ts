import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {MARKER, MAX_LINE, MAX_NOISE, offProtocol} from './protocol.js'

const NEWLINE = 0x0a

/**
 * Lines after the marker, without their line ends. Bounded: WORKER when the marker does not come within 256 KiB or a line is
 * longer than 1 MiB. Half a line at the end of the stream is dropped: it was never finished.
 */
export async function* linesAfterMarker(
  stream: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<string, void> {
  let noise = 0
  let seen = false
  for await (const bytes of splitLines(stream)) {
    const line = bytes.toString('utf8')
    if (seen) {
      yield line
      continue
    }
    // A shell without a newline after its prompt writes straight before the marker.
    seen = line.replace(/\r$/, '').endsWith(MARKER)
    noise += bytes.length + 1
    if (!seen && noise > MAX_NOISE) throw noMarker(line)
  }
}

async function* splitLines(
  stream: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<Buffer, void> {
  let held: Buffer[] = []
  let length = 0
  for await (const piece of stream) {
    let rest =
      typeof piece === 'string'
        ? Buffer.from(piece)
        : Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      if (length + end > MAX_LINE) throw tooLong()
      yield Buffer.concat([...held, rest.subarray(0, end)])
      held = []
      length = 0
      rest = rest.subarray(end + 1)
    }
    length += rest.length
    if (length > MAX_LINE) throw tooLong()
    if (rest.length > 0) held.push(rest)
  }
}

function tooLong(): DumontError {
  return offProtocol(`a line longer than ${MAX_LINE} bytes`)
}

function noMarker(last: string): DumontError {
  return new DumontError(
    'WORKER',
    `the box answered with something else than the worker: ${untrusted(last, 200)}`,
    {
      hint: 'the login shell of the box writes too much; let it write nothing when it is not interactive',
    },
  )
}
