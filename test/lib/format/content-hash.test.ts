import {expect, it} from '@jest/globals'
import {blake3} from 'hash-wasm'
import {contentHash, startContentHash} from '../../../src/lib/format/content-hash.js'

const BLOCK = 1_048_576

function content(length: number): Buffer {
  return Buffer.from(Uint8Array.from({length}, (_, n) => (n * 7 + (n >> 8)) % 251))
}

/** The definition of docs/format.md, word for word. */
async function byThePage(bytes: Buffer): Promise<string> {
  if (bytes.length <= BLOCK) return blake3(bytes)
  const hashes = [Buffer.from('dumont content 1\n')]
  for (let at = 0; at < bytes.length; at += BLOCK)
    hashes.push(Buffer.from(await blake3(bytes.subarray(at, at + BLOCK)), 'hex'))
  return blake3(Buffer.concat(hashes))
}

it.each([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 7])(
  'of %i bytes is that of the page',
  async (length) => {
    expect(await contentHash(content(length))).toBe(await byThePage(content(length)))
  },
)

it('does not depend on how the bytes arrive', async () => {
  const bytes = content(2 * BLOCK + 1000)
  const hasher = await startContentHash()
  for (let at = 0; at < bytes.length; at += 300_001) hasher.update(bytes.subarray(at, at + 300_001))
  expect(hasher.digest()).toBe(await byThePage(bytes))
})

it('reads holes as zeros', async () => {
  const hasher = await startContentHash()
  hasher.update(Buffer.from('start'))
  hasher.zeros(3 * BLOCK)
  hasher.update(Buffer.from('end'))
  hasher.zeros(0)
  const whole = Buffer.concat([Buffer.from('start'), Buffer.alloc(3 * BLOCK), Buffer.from('end')])
  expect(hasher.digest()).toBe(await byThePage(whole))
})

it('passes over a hole of 100 GiB without hashing it', async () => {
  const hasher = await startContentHash()
  hasher.zeros(100 * 2 ** 30)
  expect(hasher.digest()).toMatch(/^[0-9a-f]{64}$/)
})

it('keeps two files that are hashed at once apart', async () => {
  const [one, other] = [await startContentHash(), await startContentHash()]
  one.update(content(10))
  other.update(content(20))
  expect(one.digest()).toBe(await byThePage(content(10)))
  expect(other.digest()).toBe(await byThePage(content(20)))
})
