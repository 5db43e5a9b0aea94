import {describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {objectKey} from '../../../src/lib/seal/derive.js'
import type {Keyring} from '../../../src/lib/seal/keyring.js'
import {withNewMaster} from '../../../src/lib/seal/keyring.js'
import {openKeys, unprovenKeys} from '../../../src/lib/seal/open-keys.js'
import {objectHeader, sealOf, sealRecord} from '../../../src/lib/seal/sealed-object.js'
import {bytesOf, vectorKeyring, vectors} from './vectors.js'

const sealed = openKeys(vectorKeyring, 'sealed', randomBytes)
const proven = openKeys(vectorKeyring, 'authenticated', randomBytes)
const rotated = withNewMaster(vectorKeyring, '2026-11-24T00:00:00Z', randomBytes) as Keyring
const strange = withNewMaster(
  {repository: vectorKeyring.repository, masters: []},
  '2026-11-24T00:00:00Z',
  randomBytes,
) as Keyring
const NAME = 'snapshots/x.json'
const plain = Buffer.from('{"format":1,"id":"x"}')
const lined = Buffer.from('{"format":1,"state":"x"}\n')

describe('the keys of a sealed store', () => {
  test.each([
    ['manifest', vectors.sealedManifest],
    ['record', vectors.sealedRecord],
  ] as const)('reveal a %s that another program sealed', (kind, {key, stored, plain: told}) => {
    expect(sealed.reveal(kind, key, Buffer.from(stored)).toString()).toBe(told)
  })

  test.each(['pack', 'packs', 'segment'] as const)('open a %s by its seal', (kind) => {
    const object = vectors.objects.find((each) => each.kind === kind)
    if (!object) throw new Error(`no vector of a ${kind}`)
    for (const {at, plain: told, record} of object.records)
      expect(
        Buffer.from(sealed.open(kind, object.seal, bytesOf(record), at)).toString('base64'),
      ).toBe(told)
    const {header, secret} = sealed.objectSeal(kind, object.seal)
    expect(Buffer.from(header).toString('base64')).toBe(object.header)
    expect(Buffer.from(secret).toString('base64')).toBe(object.objectKey)
  })

  test.each(['pack', 'packs', 'segment'] as const)('open what a run sealed as a %s', (kind) => {
    const run = sealed.newRun()
    if (!run) throw new Error('no run')
    const salt = randomBytes(32)
    const number = {pack: 1, segment: 2, packs: 3}[kind]
    const {commitment, key} = objectKey(run.secret, salt, number)
    const header = objectHeader(run.header, number, salt, commitment)
    const record = sealRecord(header, key, plain, {at: 128})
    expect(sealed.open(kind, sealOf(header), record)).toEqual(plain)
  })

  test('draw a secret for each run', () => {
    const [one, two] = [sealed.newRun(), sealed.newRun()]
    expect(Buffer.from(one?.secret ?? []).equals(two?.secret ?? Buffer.alloc(0))).toBe(false)
    expect(one?.header).toHaveLength(64)
  })

  test.each([plain, lined])('reveal what they closed', (text) => {
    const stored = sealed.close('manifest', NAME, text)
    expect(Buffer.from(stored).includes('format":1,"id')).toBe(false)
    expect(sealed.reveal('manifest', NAME, stored)).toEqual(text)
  })

  test('close the same twice in two ways', () => {
    expect(sealed.close('record', NAME, plain)).not.toEqual(sealed.close('record', NAME, plain))
  })

  test('refuse a manifest put under another name, or as a record', () => {
    const stored = sealed.close('manifest', NAME, plain)
    expect(() => sealed.reveal('manifest', 'snapshots/y.json', stored)).toThrow(
      'not what was sealed',
    )
    expect(() => sealed.reveal('record', NAME, stored)).toThrow('another kind')
  })

  test('refuse a manifest that is not sealed at all', () => {
    expect(() => sealed.reveal('manifest', NAME, plain)).toThrow('not sealed')
    expect(() => sealed.reveal('manifest', NAME, proven.close('manifest', NAME, plain))).toThrow(
      'not sealed',
    )
  })

  test('refuse a manifest sealed in a later format, saying so', () => {
    expect(() =>
      sealed.reveal('manifest', NAME, Buffer.from('{"format":2,"sealed":"AAAA"}\n')),
    ).toThrow('format 2')
  })

  test('open what an older master sealed, and seal with the newest', () => {
    const keys = openKeys(rotated, 'sealed', randomBytes)
    const old = sealed.close('manifest', NAME, plain)
    expect(keys.reveal('manifest', NAME, old)).toEqual(plain)
    expect(() => sealed.reveal('manifest', NAME, keys.close('manifest', NAME, plain))).toThrow(
      'none of ours',
    )
  })

  test('refuse what a stranger sealed', () => {
    const keys = openKeys(strange, 'sealed', randomBytes)
    expect(() => sealed.reveal('manifest', NAME, keys.close('manifest', NAME, plain))).toThrow(
      'none of ours',
    )
    const [object] = vectors.objects
    expect(() => keys.objectSeal('pack', object?.seal ?? '')).toThrow('none of ours')
  })

  test('refuse what a stranger sealed who gave a master the same name', () => {
    const masters = [{...vectorKeyring.masters[0], key: randomBytes(32)}] as Keyring['masters']
    const keys = openKeys({...vectorKeyring, masters}, 'sealed', randomBytes)
    const stored = keys.close('manifest', NAME, plain)
    expect(() => sealed.reveal('manifest', NAME, stored)).toThrow('another key')
  })
})

describe('the keys of an authenticated store', () => {
  test.each([
    ['manifest', vectors.authenticatedManifest],
    ['record', vectors.authenticatedRecord],
  ] as const)(
    'close and reveal a %s as another program does',
    (kind, {key, stored, plain: told}) => {
      expect(Buffer.from(proven.close(kind, key, Buffer.from(told))).toString()).toBe(stored)
      expect(Buffer.from(proven.reveal(kind, key, Buffer.from(stored))).toString()).toBe(told)
    },
  )

  test('seal nothing', () => {
    expect(proven.newRun()).toBeUndefined()
    expect(() => proven.objectSeal('pack', 'x')).toThrow('not sealed')
  })

  test('refuse one changed byte, another name, another master, no MAC', () => {
    const stored = Buffer.from(proven.close('manifest', NAME, plain))
    const changed = Buffer.from(stored.toString().replace('"x"', '"y"'))
    expect(() => proven.reveal('manifest', NAME, changed)).toThrow('MAC')
    expect(() => proven.reveal('manifest', 'snapshots/y.json', stored)).toThrow('MAC')
    expect(() =>
      openKeys(strange, 'authenticated', randomBytes).reveal('manifest', NAME, stored),
    ).toThrow('none of ours')
    expect(() => proven.reveal('manifest', NAME, plain)).toThrow('without a MAC')
    expect(() => proven.reveal('manifest', NAME, Buffer.alloc(0))).toThrow('without a MAC')
  })

  test('refuse a MAC with something after it', () => {
    const stored = `${Buffer.from(proven.close('manifest', NAME, plain))
      .toString()
      .slice(0, -1)},"id":"z"}`
    expect(() => proven.reveal('manifest', NAME, Buffer.from(stored))).toThrow('without a MAC')
  })

  test('prove what an older master proved', () => {
    const keys = openKeys(rotated, 'authenticated', randomBytes)
    expect(keys.reveal('record', NAME, proven.close('record', NAME, lined))).toEqual(lined)
  })
})

describe('a machine without a key to an authenticated store', () => {
  test('reads, and writes nothing', () => {
    const keys = unprovenKeys()
    expect(keys.reveal('manifest', NAME, proven.close('manifest', NAME, plain))).toEqual(plain)
    expect(() => keys.close('manifest', NAME, plain)).toThrow('no key')
  })
})
