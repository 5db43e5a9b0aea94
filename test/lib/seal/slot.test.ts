import {describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {parseKeyring, serialiseKeyring, withNewMaster} from '../../../src/lib/seal/keyring.js'
import {makeSlot, openSlot, parseSlot, serialiseSlot} from '../../../src/lib/seal/slot.js'
import {bytesOf, vectorKeyring, vectors} from './vectors.js'

const [withWords, withFile] = vectors.slots
if (!withWords || !withFile) throw new Error('no vectors of slots')
const created = '2026-11-23T14:02:00.000Z'
const parsed = (value: object) => parseSlot(Buffer.from(JSON.stringify(value)))

describe('a slot made elsewhere', () => {
  test.each(vectors.slots)('is opened by its secret', async ({keyring, secret, stored, typed}) => {
    const own =
      typed === undefined
        ? ({kind: 'drawn', bytes: bytesOf(secret ?? '')} as const)
        : ({kind: 'passphrase', text: typed} as const)
    const opened = await openSlot(parsed(stored), own)
    expect(opened && JSON.parse(serialiseKeyring(opened).toString())).toEqual(JSON.parse(keyring))
  })

  test('takes words typed in another form of the same letters', async () => {
    const {stored, typed = ''} = withWords
    const slot = parsed(stored)
    for (const form of ['NFC', 'NFD', 'NFKD'] as const)
      expect(await openSlot(slot, {kind: 'passphrase', text: typed.normalize(form)})).toBeDefined()
  })

  test('stays shut to other words, another file, a secret of another sort', async () => {
    const words = {kind: 'passphrase', text: 'wrong'} as const
    const drawn = {kind: 'drawn', bytes: randomBytes(32)} as const
    for (const {stored} of [withWords, withFile])
      for (const secret of [words, drawn])
        expect(await openSlot(parsed(stored), secret)).toBeUndefined()
  })

  const secret = {kind: 'drawn', bytes: bytesOf(withFile.secret ?? '')} as const

  test.each([
    ['another repository', {repository: 'a'.repeat(32)}],
    ['another kind', {kind: 'recovery'}],
    ['another name', {slot: 'b'.repeat(16)}],
  ])('says that it was changed when it has %s', async (_what, change) => {
    const slot = parsed({...withFile.stored, ...change})
    await expect(openSlot(slot, secret)).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('says that it was changed when its keyring was', async () => {
    const slot = parsed(withFile.stored)
    slot.sealed[20] = (slot.sealed[20] ?? 0) ^ 1
    await expect(openSlot(slot, secret)).rejects.toThrow('changed after it was made')
  })
})

describe('a slot', () => {
  const drawn = {kind: 'drawn', bytes: randomBytes(32)} as const

  test.each(['file', 'recovery'] as const)(
    'of kind %s opens after a way through the store',
    async (kind) => {
      const slot = await makeSlot(
        {kind, label: 'here', created, keyring: vectorKeyring, secret: drawn},
        randomBytes,
      )
      const again = parseSlot(serialiseSlot(slot))
      expect(again).toEqual(slot)
      expect(await openSlot(again, drawn)).toEqual(vectorKeyring)
    },
  )

  test('of words opens with these words only', async () => {
    const secret = {kind: 'passphrase', text: 'ﬁve words'} as const
    const slot = await makeSlot(
      {kind: 'passphrase', label: '', created, keyring: vectorKeyring, secret},
      randomBytes,
    )
    expect(slot.kdf).toMatchObject({name: 'scrypt', n: 131_072, r: 8, p: 1})
    expect(await openSlot(slot, {...secret, text: 'five words'})).toEqual(vectorKeyring)
    expect(await openSlot(slot, {...secret, text: 'five  words'})).toBeUndefined()
  })
})

describe('a hostile slot', () => {
  const scrypt = (change: object) => {
    const stored = withWords.stored as {readonly kdf: object}
    return {...stored, kdf: {...stored.kdf, ...change}}
  }

  test.each([
    ['n of 2^21', scrypt({n: 2 ** 21})],
    ['n of 2^53', scrypt({n: 2 ** 53})],
    ['n that is no power of two', scrypt({n: 20_000})],
    ['n of 2^13', scrypt({n: 2 ** 13})],
    ['r of 17', scrypt({r: 17})],
    ['a gigabyte of memory', scrypt({n: 2 ** 20, r: 8})],
    ['r of 0', scrypt({r: 0})],
    ['p of 5', scrypt({p: 5})],
    ['p of one and a half', scrypt({p: 1.5})],
    ['a short salt', scrypt({salt: 'AAAA'})],
    ['another kdf', scrypt({name: 'md5'})],
    ['words in a slot for files', {...withWords.stored, kind: 'file'}],
    ['a commitment too short', {...withFile.stored, commitment: 'ab'}],
    ['base64 that is none', {...withFile.stored, sealed: '!!!'}],
    ['a label of a thousand letters', {...withFile.stored, label: 'x'.repeat(1000)}],
    ['no date', {...withFile.stored, created: 'yesterday'}],
    ['nothing', {}],
  ])('with %s is refused', (_what, value) => {
    expect(() => parsed(value)).toThrow('a key slot is damaged')
  })

  test.each(['', 'null', '[]', '1', '"x"', '{'])('of %j is refused', (text) => {
    expect(() => parseSlot(Buffer.from(text))).toThrow(/a key slot is (?:damaged|no JSON)/)
  })

  test('of a later format is told apart from damage', () => {
    expect(() => parsed({...withFile.stored, format: 2})).toThrow('format 2')
  })

  test('of more than 64 KiB is not even parsed', () => {
    expect(() => parseSlot(Buffer.alloc(64 * 1024 + 1))).toThrow('too large')
  })
})

describe('a keyring', () => {
  const [master] = vectorKeyring.masters
  const written = JSON.parse(serialiseKeyring(vectorKeyring).toString()) as {masters: object[]}

  test('comes back from its bytes', () => {
    expect(parseKeyring(serialiseKeyring(vectorKeyring))).toEqual(vectorKeyring)
  })

  test('takes new masters at its end, sixteen in all', () => {
    let keyring = vectorKeyring
    for (let more = 1; more < 16; more += 1)
      keyring = withNewMaster(keyring, created, randomBytes) ?? keyring
    expect(keyring.masters).toHaveLength(16)
    expect(keyring.masters[0]).toEqual(master)
    expect(withNewMaster(keyring, created, randomBytes)).toBeUndefined()
  })

  test.each([
    ['no masters', {...written, masters: []}],
    [
      'seventeen masters',
      {...written, masters: Array.from({length: 17}, () => written.masters[0])},
    ],
    ['one master twice', {...written, masters: [written.masters[0], written.masters[0]]}],
    ['a short key', {...written, masters: [{...written.masters[0], key: 'c2VjcmV0'}]}],
    ['nothing', {}],
  ])('of %s is refused, and shows nothing of it', (_what, value) => {
    const parse = () => parseKeyring(Buffer.from(JSON.stringify(value)))
    expect(parse).toThrow('a key slot holds no keyring')
    expect(parse).not.toThrow(/c2VjcmV0/)
  })
})
