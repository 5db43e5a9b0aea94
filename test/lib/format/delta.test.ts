import {crc32} from 'node:zlib'
import {describe, expect, it} from '@jest/globals'
import {blake3} from 'hash-wasm'
import {undoDifference} from '../../../src/lib/format/delta.js'
import {decodeFrame} from '../../../src/lib/format/frame.js'

/** Evenly in [0, 2^32), the same in every run (mulberry32). */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

// Zeros, infinities, quiet and signalling NaN with payloads, denormals, largest and smallest of both signs.
const SPECIAL = {
  2: [0, 0x8000, 0x7f80, 0xff80, 0x7fc1, 0xff81, 0x7c01, 1, 0x8001, 0x7f, 0x7f7f, 0xffff, 0x7fff],
  4: [
    0, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0001, 0xffc1_2345, 0x7f80_0001, 1, 0x8000_0001,
    0x7f_ffff, 0x7f7f_ffff, 0xffff_ffff, 0x7fff_ffff, 0x3f80_0000, 0xbf80_0000,
  ],
}

/** Words of every special kind among random ones, and a tail that is no word. */
function chunk(next: () => number, width: 2 | 4, length: number): Buffer {
  const bytes = Buffer.from(Array.from({length}, () => next() & 0xff))
  for (let at = 0; at + width <= length; at += width) {
    const special = SPECIAL[width][next() % SPECIAL[width].length]
    if (next() % 2 === 0) bytes.writeUIntLE(special ?? 0, at, width)
  }
  return bytes
}

/** The page's rule, number by number: c = f(f(r) - f(b)), or r xor b; the tail as it is. */
function differ(raw: Buffer, base: Buffer, operation: 'ordered' | 'xor', width: number): Buffer {
  const change = Buffer.from(raw)
  const sign = 1n << BigInt(8 * width - 1)
  const f = (word: bigint) => ((word & sign) === 0n ? word : word ^ (sign - 1n))
  for (let at = 0; at + width <= raw.length; at += width) {
    const [r, b] = [raw, base].map((bytes) => BigInt(bytes.readUIntLE(at, width))) as [
      bigint,
      bigint,
    ]
    const c = operation === 'xor' ? r ^ b : f(BigInt.asUintN(8 * width, f(r) - f(b)))
    change.writeUIntLE(Number(c), at, width)
  }
  return change
}

describe.each(['xor', 'ordered'] as const)('undoing %s', (operation) => {
  it.each([
    ['planes2', 2],
    ['planes4', 4],
    ['planes2of4', 4],
  ] as const)('gives every chunk back, whatever its floats are: %s', (transform, width) => {
    const next = dice(width)
    for (let round = 0; round < 200; round++) {
      const length = 1 + (next() % 257)
      const [raw, base] = [chunk(next, width, length), chunk(next, width, length)]
      const change = differ(raw, base, operation, width)
      expect(Buffer.from(undoDifference({base, change, operation, transform}))).toEqual(raw)
    }
  })

  it.each([2, 4] as const)('does so for any two special words of %i bytes', (width) => {
    const words = SPECIAL[width]
    const pairs = words.flatMap((one) => words.map((other) => [one, other] as const))
    const [raw, base] = [0, 1].map((side) => {
      const bytes = Buffer.alloc(pairs.length * width)
      for (const [index, pair] of pairs.entries())
        bytes.writeUIntLE(pair[side] ?? 0, index * width, width)
      return bytes
    }) as [Buffer, Buffer]
    const change = differ(raw, base, operation, width)
    const transform = width === 2 ? 'planes2' : 'planes4'
    expect(Buffer.from(undoDifference({base, change, operation, transform}))).toEqual(raw)
  })

  it('works on memory that begins at an odd place, and leaves it as it was', () => {
    const next = dice(7)
    const [raw, base] = [chunk(next, 4, 101), chunk(next, 4, 101)]
    const shifted = Buffer.concat([Buffer.alloc(1), differ(raw, base, operation, 4)]).subarray(1)
    const before = Buffer.from(shifted)
    const found = undoDifference({
      base: Buffer.concat([Buffer.alloc(3), base]).subarray(3),
      change: shifted,
      operation,
      transform: 'planes4',
    })
    expect(Buffer.from(found)).toEqual(raw)
    expect(shifted).toEqual(before)
  })

  it('refuses a base of another length', () => {
    const [base, change] = [Buffer.alloc(8), Buffer.alloc(10)]
    expect(() => undoDifference({base, change, operation, transform: 'planes2'})).toThrow(
      'a difference of another length than its base',
    )
  })
})

it('takes the bytes of a chunk without words one by one', () => {
  const [change, base] = [Buffer.of(1, 2, 255), Buffer.of(3, 2, 15)]
  const found = undoDifference({base, change, operation: 'xor', transform: 'none'})
  expect([...found]).toEqual([2, 0, 240])
})

describe('a frame that says what its chunk differs by', () => {
  const base = Buffer.from('the base of it')
  const raw = Buffer.from('the chunk is I')
  const change = Buffer.from(raw.map((byte, at) => byte ^ (base[at] ?? 0)))

  async function frame(delta = 1, transform = 0): Promise<Buffer> {
    const header = Buffer.alloc(88)
    header.write('dmtC')
    header.set([1, 88, transform, 0, delta, 0], 4)
    header.writeUInt32LE(raw.length, 12)
    header.writeUInt32LE(change.length, 16)
    header.write(await blake3(raw), 20, 'hex')
    header.write(await blake3(base), 52, 'hex')
    header.writeUInt32LE(crc32(header.subarray(0, 84)), 84)
    return Buffer.concat([header, change])
  }

  async function decode(bytes: Buffer, findBase?: () => Promise<Uint8Array>): Promise<string> {
    const [rawHash, frameHash] = await Promise.all([blake3(raw), blake3(bytes)])
    const expected = {frameHash, rawHash, rawLength: raw.length}
    return Buffer.from(await decodeFrame(bytes, expected, findBase)).toString()
  }

  it('gives the chunk', async () => {
    expect(await decode(await frame(), () => Promise.resolve(base))).toBe(raw.toString())
  })

  it('is nothing without its base', async () => {
    await expect(decode(await frame())).rejects.toThrow(
      'the chunk that it differs from is not at hand',
    )
  })

  it.each([
    ['one changed bit', Buffer.from('the base of iu')],
    ['a byte less', Buffer.from(base.subarray(1))],
    ['nothing', Buffer.alloc(0)],
    ['the chunk itself', raw],
  ])('is refused with another base: %s', async (_, other) => {
    await expect(decode(await frame(), () => Promise.resolve(other))).rejects.toThrow(
      'the chunk that it differs from is another one',
    )
  })

  it('tells why its base cannot be had', async () => {
    const gone = () => Promise.reject(new Error('the store is down'))
    await expect(decode(await frame(), gone)).rejects.toThrow('the store is down')
  })

  it('is refused where it orders numbers of no width', async () => {
    await expect(decode(await frame(2), () => Promise.resolve(base))).rejects.toThrow(
      'a difference of numbers without their width',
    )
  })

  it('asks for no base before its own bytes are proven', async () => {
    const bytes = await frame()
    const expected = {
      frameHash: '00'.repeat(32),
      rawHash: await blake3(raw),
      rawLength: raw.length,
    }
    let asked = 0
    const findBase = () => {
      asked++
      return Promise.resolve(base)
    }
    await expect(decodeFrame(bytes, expected, findBase)).rejects.toThrow(
      'the stored bytes have changed',
    )
    expect(asked).toBe(0)
  })
})
