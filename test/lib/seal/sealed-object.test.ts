import {describe, expect, test} from '@jest/globals'
import {macKey, objectKey, runSecret} from '../../../src/lib/seal/derive.js'
import {
  openRecord,
  parseHeader,
  parseSeal,
  runHeader,
  sealOf,
  sealRecord,
} from '../../../src/lib/seal/sealed-object.js'
import {bytesOf, vectors} from './vectors.js'

const repository = Buffer.from(vectors.repository, 'hex')
const master = bytesOf(vectors.master.key)
const run = bytesOf(vectors.run.secret)
const [pack] = vectors.objects
if (!pack) throw new Error('no vector of a pack')

describe('keys are derived', () => {
  test('for a run', () => {
    const secret = runSecret(master, bytesOf(vectors.run.salt), repository)
    expect(secret.toString('base64')).toBe(vectors.run.secret)
    const header = runHeader({
      repository,
      master: Buffer.from(vectors.master.id, 'hex'),
      runSalt: bytesOf(vectors.run.salt),
    })
    expect(header.toString('base64')).toBe(vectors.run.header)
  })

  test('for the MACs of a store', () => {
    expect(macKey(master, repository).toString('base64')).toBe(vectors.macKey)
  })

  test.each(vectors.objects)('for a $kind', (object) => {
    const {key, commitment} = objectKey(run, bytesOf(object.objectSalt), object.number)
    expect(key.toString('base64')).toBe(object.objectKey)
    expect(commitment.toString('base64')).toBe(object.commitment)
  })
})

describe('a record', () => {
  const all = vectors.objects.flatMap((object) =>
    object.records.map((record) => ({...record, object, kind: object.kind})),
  )

  test.each(all)('of a $kind at $at is sealed and opened', ({at, object, plain, record}) => {
    const header = parseHeader(bytesOf(object.header), object.kind, repository)
    const key = bytesOf(object.objectKey)
    const place = {at, name: object.place}
    expect(sealRecord(header, key, bytesOf(plain), place).toString('base64')).toBe(record)
    const committed = {key, commitment: bytesOf(object.commitment)}
    expect(openRecord(header, committed, bytesOf(record), place).toString('base64')).toBe(plain)
  })

  const header = parseHeader(bytesOf(pack.header), 'pack', repository)
  const committed = {key: bytesOf(pack.objectKey), commitment: bytesOf(pack.commitment)}
  const [first, second] = pack.records
  if (!first || !second) throw new Error('no vectors of records')

  test('does not open at the place of another', () => {
    expect(() => openRecord(header, committed, bytesOf(second.record), {at: 128})).toThrow(
      'not what was sealed here',
    )
  })

  test('does not open with one bit changed, anywhere', () => {
    const record = bytesOf(second.record)
    for (let bit = 0; bit < record.length * 8; bit += 1) {
      const changed = Buffer.from(record)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => openRecord(header, committed, changed, {at: second.at})).toThrow('not what was')
    }
  })

  test.each([0, 1, 15])('of %d bytes is too short to be one', (length) => {
    expect(() => openRecord(header, committed, Buffer.alloc(length))).toThrow('not what was')
  })

  test('is not decrypted with a key that is not the one committed to', () => {
    const other = {key: committed.key, commitment: Buffer.alloc(32)}
    expect(() => openRecord(header, other, bytesOf(first.record))).toThrow('another key')
  })

  test('names the key in the store it was sealed for', () => {
    const sealed = sealRecord(header, committed.key, Buffer.from('x'), {name: 'snapshots/a.json'})
    expect(() => openRecord(header, committed, sealed, {name: 'snapshots/b.json'})).toThrow()
    expect(() => openRecord(header, committed, sealed)).toThrow()
  })
})

describe('a header', () => {
  const good = bytesOf(pack.header)
  const changed = (at: number, value: number) => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }

  test('has a seal, which names what it is derived from', () => {
    const header = parseHeader(good, 'pack', repository)
    expect(sealOf(header)).toBe(pack.seal)
    const {master: id, objectSalt, runSalt} = parseSeal(pack.seal)
    expect([id, objectSalt, runSalt]).toEqual([header.master, header.objectSalt, header.runSalt])
  })

  test.each([
    ['is too short', good.subarray(0, 127), 'no sealed object'],
    ['has another magic', changed(0, 0x65), 'no sealed object'],
    ['is of a later version', changed(4, 2), 'version 2'],
    ['is of version 0', changed(4, 0), 'damaged'],
    ['has bits where there are none', changed(7, 1), 'damaged'],
    ['is of another kind', changed(5, 2), 'another kind of object than a pack'],
    ['is of another store', changed(8, 0xff), 'another store'],
  ])('that %s is refused', (_what, bytes, message) => {
    expect(() => parseHeader(bytes, 'pack', repository)).toThrow(message)
  })

  test.each([
    '',
    'AAAA',
    `${pack.seal}AAAA`,
    `${pack.seal.slice(0, 95)}=`,
    `${pack.seal.slice(1)} `,
  ])('is not made of %j', (seal) => {
    expect(() => parseSeal(seal)).toThrow('a seal is damaged')
  })
})
