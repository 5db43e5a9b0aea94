import {expect, it} from '@jest/globals'
import {decodeZstd, loadZstd} from '../../../src/lib/format/zstd.js'

/** A frame by hand: single segment, one byte of content size, raw blocks. */
function frame(size: number, ...blocks: string[]): Buffer {
  const body = blocks.map((text, index) => {
    const header = Buffer.alloc(3)
    header.writeUIntLE((index === blocks.length - 1 ? 1 : 0) | (text.length << 3), 0, 3)
    return Buffer.concat([header, Buffer.from(text)])
  })
  return Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, size), ...body])
}

async function decode(bytes: Uint8Array, length: number): Promise<string> {
  return Buffer.from(decodeZstd(await loadZstd(), bytes, length)).toString()
}

it('decodes raw and repeated blocks', async () => {
  expect(await decode(frame(6, 'abc', 'def'), 6)).toBe('abcdef')
  const run = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 1 | (1 << 1) | (9 << 3), 0, 0, 0x7a)
  expect(await decode(run, 9)).toBe('zzzzzzzzz')
})

it.each<[string, Uint8Array, number, string]>([
  ['of another content size', frame(4, 'abcd'), 5, 'a zstd frame of 4 bytes instead of 5'],
  ['that makes less than it says', frame(5, 'abcd'), 5, 'a damaged zstd frame'],
  ['that makes more than it says', frame(4, 'abcde'), 4, 'a damaged zstd frame'],
  [
    'with another behind it',
    Buffer.concat([frame(4, 'abcd'), frame(0, '')]),
    4,
    'followed by something',
  ],
  [
    'with bytes behind it',
    Buffer.concat([frame(4, 'abcd'), Buffer.of(0)]),
    4,
    'followed by something',
  ],
  ['without its end', frame(4, 'abcd').subarray(0, -1), 4, 'cut short'],
  ['without a block', frame(4), 4, 'cut short'],
  ['of five bytes', frame(4).subarray(0, 5), 4, 'cut short'],
  ['of no bytes', Buffer.alloc(0), 4, 'cut short'],
  ['of another kind', Buffer.from('no frame at all'), 4, 'not a zstd frame'],
  ['that needs a dictionary', Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 4), 4, 'unknown sort'],
  ['with a reserved bit', Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x28, 4, 1), 4, 'unknown sort'],
  [
    'without content size',
    Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, 88, 1, 0, 0),
    4,
    'without content size',
  ],
])('refuses a frame %s', async (_, bytes, length, message) => {
  await expect(decode(bytes, length)).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining(message),
  })
})

it('refuses a frame that claims terabytes before it decodes', async () => {
  const claim = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0])
  await expect(decode(claim, 4)).rejects.toThrow('a zstd frame of 1099511627776 bytes instead of 4')
})
