import type {ZSTDDecoder} from 'zstddec'
import {damaged} from './integrity.js'

let shared: Promise<ZSTDDecoder> | undefined

/** Loads the WebAssembly decoder at first use. */
export function loadZstd(): Promise<ZSTDDecoder> {
  shared ??= import('zstddec').then(async (zstddec) => {
    const decoder = new zstddec.ZSTDDecoder()
    await decoder.init()
    return decoder
  })
  return shared
}

/** The content of exactly one frame; INTEGRITY unless the frame says, and holds, `length` bytes. */
export function decodeZstd(decoder: ZSTDDecoder, frame: Uint8Array, length: number): Uint8Array {
  checkFrame(Buffer.from(frame.buffer, frame.byteOffset, frame.length), length)
  // The decoder writes at most `length` bytes; for a damaged frame it gives an error number for a length.
  const content = decoder.decode(frame, length)
  if (content.length !== length) throw damaged('a damaged zstd frame')
  return content
}

/** Walks the frame's blocks (RFC 8878 section 3.1.1), because the decoder would also take several frames. */
function checkFrame(frame: Buffer, length: number): void {
  const {blocks, checksum, contentSize} = frameHeader(frame)
  if (contentSize !== length)
    throw damaged(`a zstd frame of ${contentSize} bytes instead of ${length}`)
  if (endOfBlocks(frame, blocks) + checksum !== frame.length)
    throw damaged('a zstd frame that is cut short or followed by something')
}

function frameHeader(frame: Buffer): {blocks: number; checksum: number; contentSize: number} {
  if (frame.length < 6) throw damaged('a zstd frame that is cut short')
  if (frame.readUInt32LE(0) !== 0xfd_2f_b5_28) throw damaged('not a zstd frame')
  const descriptor = frame.readUInt8(4)
  const single = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  if (dictionary !== 0 || (descriptor & 8) !== 0) throw damaged('a zstd frame of an unknown sort')
  const at = single ? 5 : 6
  const width = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  if (width === 0) throw damaged('a zstd frame without content size')
  if (frame.length < at + width) throw damaged('a zstd frame that is cut short')
  return {
    blocks: at + width,
    checksum: (descriptor & 4) === 0 ? 0 : 4,
    contentSize: contentSizeAt(frame, at, width),
  }
}

function contentSizeAt(frame: Buffer, at: number, width: number): number {
  if (width === 1) return frame.readUInt8(at)
  if (width === 2) return frame.readUInt16LE(at) + 256
  if (width === 4) return frame.readUInt32LE(at)
  return Number(frame.readBigUInt64LE(at))
}

function endOfBlocks(frame: Buffer, first: number): number {
  let at = first
  while (at + 3 <= frame.length) {
    const header = frame.readUIntLE(at, 3)
    const isRun = ((header >> 1) & 3) === 1
    at += 3 + (isRun ? 1 : header >> 3)
    if ((header & 1) === 1) return at
  }
  throw damaged('a zstd frame that is cut short')
}
