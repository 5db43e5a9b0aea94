import {randomBytes} from 'node:crypto'
import {rm} from 'node:fs/promises'
import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {coldUnlock} from '../../../src/lib/keys/cold-unlock.js'
import type {Unlocked} from '../../../src/lib/keys/unlock.js'
import {rotateKeys} from '../../../src/lib/keys/rotate-keys.js'
import {isVouchedFor, makeSlot, parseSlot, serialiseSlot} from '../../../src/lib/seal/slot.js'
import {secretText} from '../../../src/lib/seal/secret-text.js'
import {KeyWorld, Paper} from './key-world.js'

let world: KeyWorld
beforeEach(async () => {
  world = await KeyWorld.open()
})
afterEach(() => world.close())

const all = async (): Promise<Map<string, Buffer>> => {
  const names = await world.names('keys/')
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, Buffer.from(await world.store.get(name))] as const),
    ),
  )
}
/** Another `dumont.json` than the one that was written. */
const rewrite = async (change: (text: string) => string) => {
  const text = Buffer.from(await world.store.get('dumont.json')).toString()
  await world.store.put('dumont.json', Buffer.from(change(text)), {onlyIfAbsent: false})
}
const begin = async (): Promise<Unlocked> => {
  const {unlocked} = await world.begin({recovery: new Paper()})
  if (!unlocked) throw new Error('a new store has keys')
  return unlocked
}
const kindsOf = async (unlocked: Unlocked) =>
  (await coldUnlock(world.store, unlocked, randomBytes)).slots.map(({kind}) => kind).toSorted()

describe('a store that is opened once more to prove that its keys outlive this machine', () => {
  test('counts the slots that were made with its newest master', async () => {
    expect(await kindsOf(await begin())).toEqual(['file', 'recovery'])
  })

  test('does not count slots that were put back from before a rotation', async () => {
    await begin()
    const before = await all()
    await rotateKeys(await world.keys(), {confirm: async () => true, recovery: new Paper()})
    const {unlocked} = await world.keys()
    for (const [name, bytes] of before) await world.store.put(name, bytes)
    expect(await kindsOf(unlocked)).toEqual(['file', 'recovery'])
    for (const name of await world.names('keys/'))
      if (!before.has(name) && name !== `keys/${unlocked.slot.slot}.json`)
        await world.store.remove([name])
    expect(await kindsOf(unlocked)).toEqual(['file'])
  })

  test('does not count a recovery slot that somebody without its keys made up', async () => {
    const {unlocked} = await world.begin()
    if (!unlocked) throw new Error('a new store has keys')
    const masters = unlocked.keyring.masters.map((one) => ({...one, key: randomBytes(32)}))
    const forged = {...unlocked.keyring, masters}
    const {created} = unlocked.slot
    const secret = {kind: 'drawn', bytes: randomBytes(32)} as const
    const slot = await makeSlot(
      {kind: 'recovery', label: '', created, keyring: forged, secret},
      randomBytes,
    )
    await world.store.put(`keys/${slot.slot}.json`, serialiseSlot(slot))
    expect(await kindsOf(unlocked)).toEqual(['file'])
  })

  test('counts no slot of which anything was changed, or that tells of nobody', async () => {
    const {keyring, slot} = await begin()
    const text = serialiseSlot(slot).toString()
    expect(isVouchedFor(parseSlot(Buffer.from(text)), keyring)).toBe(true)
    const changed = text.replace('"kind":"file"', '"kind":"recovery"')
    expect(isVouchedFor(parseSlot(Buffer.from(changed)), keyring)).toBe(false)
    const silent = text.replace(/,"mac":"[^"]*"/, '')
    expect(isVouchedFor(parseSlot(Buffer.from(silent)), keyring)).toBe(false)
  })
})

describe('a store whose dumont.json was changed to protect less', () => {
  test('is refused by its keys, on a machine that never saw it before', async () => {
    const {slot} = await begin()
    await rewrite((text) => text.replace('sealed', 'authenticated'))
    await rm(`${world.root}/laptop/state`, {recursive: true})
    const refusal = {code: 'INTEGRITY', message: expect.stringContaining('sealed by its keys')}
    await expect(world.begin()).rejects.toMatchObject(refusal)
    await rm(`${world.root}/laptop/state`, {recursive: true})
    await expect(world.keys()).rejects.toMatchObject(refusal)
    expect(await world.names('keys/')).toContain(`keys/${slot.slot}.json`)
  })

  test('is refused where a key to it is named', async () => {
    await begin()
    await rewrite((text) => text.replace('"sealed"', 'null').replace(',"protection":null', ''))
    for (const source of [
      {text: secretText(randomBytes(32))},
      {passphrase: 'words'},
      {keyFile: {path: '/nowhere', named: '--key-file'}},
    ])
      await expect(world.read('new', source)).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining('a key to'),
      })
  })
})
