import {describe, expect, it} from '@jest/globals'
import {decodePlanes} from '../../../src/lib/format/planes.js'
import {loadZstd} from '../../../src/lib/format/zstd.js'

type Transform = 'planes2' | 'planes2of4' | 'planes4'

/** A payload of planes that are not coded. */
function stored(planes: readonly number[][], tail: readonly number[] = []): Buffer {
  const heads = planes.map((plane) => [0, plane.length, 0, 0, 0])
  return Buffer.from([...heads.flat(), ...planes.flat(), ...tail])
}

async function decode(transform: Transform, payload: Buffer, length: number): Promise<string> {
  const raw = decodePlanes(await loadZstd(), {payload, transform, codec: 'none', length})
  return Buffer.from(raw).toString('hex')
}

describe('words come back from their planes', () => {
  it('of two bytes', async () => {
    // 0x8001 and 0x4080, each rotated left by one: 0x0003 and 0x8100.
    expect(
      await decode(
        'planes2',
        stored([
          [0x03, 0x00],
          [0x00, 0x81],
        ]),
        4,
      ),
    ).toBe('01808040')
  })

  it('of four bytes', async () => {
    const planes = [[0x21], [0x40], [0x80], [0x00]]
    expect(await decode('planes4', stored(planes), 4)).toBe('10204080')
  })

  it('of four bytes whose low half was dropped', async () => {
    expect(await decode('planes2of4', stored([[0x03], [0x00]]), 4)).toBe('00000180')
  })

  it('with a tail that is no whole word', async () => {
    expect(await decode('planes2', stored([[0x03], [0x00]], [0xaa]), 3)).toBe('0180aa')
    expect(await decode('planes4', stored([[], [], [], []], [1, 2, 3]), 3)).toBe('010203')
  })
})

it.each<[string, {transform: Transform; payload: Buffer; length: number}, string]>([
  [
    'without heads',
    {transform: 'planes4', payload: Buffer.alloc(19), length: 4},
    'too short for its planes',
  ],
  [
    'with a plane behind the end',
    {transform: 'planes2', payload: stored([[1], [2]]).subarray(0, -1), length: 2},
    'ends behind its payload',
  ],
  [
    'with a short plane',
    {transform: 'planes2', payload: stored([[1, 1], [2]]), length: 4},
    'a plane of another length',
  ],
  [
    'with a long plane',
    {
      transform: 'planes2',
      payload: stored([
        [1, 1],
        [2, 2, 2],
      ]),
      length: 4,
    },
    'a plane of another length',
  ],
  [
    'without its tail',
    {transform: 'planes2', payload: stored([[1], [2]]), length: 3},
    'a tail of another length',
  ],
  [
    'with a tail where none belongs',
    {transform: 'planes2', payload: stored([[1], [2]], [3]), length: 2},
    'a tail of another length',
  ],
])('a payload %s is refused', async (_, {length, payload, transform}, message) => {
  await expect(decode(transform, payload, length)).rejects.toMatchObject({
    code: 'INTEGRITY',
    message: expect.stringContaining(message),
  })
})
