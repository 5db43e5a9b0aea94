import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {readFile, stat, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {addSlot} from '../../../src/lib/keys/add-slot.js'
import {importKey} from '../../../src/lib/keys/import-key.js'
import {readPassphrase} from '../../../src/lib/keys/read-passphrase.js'
import {addRecovery} from '../../../src/lib/keys/recovery.js'
import {type Removal, removeSlot} from '../../../src/lib/keys/remove-slot.js'
import {rotateKeys} from '../../../src/lib/keys/rotate-keys.js'
import {surveySlots} from '../../../src/lib/keys/slot-survey.js'
import {dyingStore, KeyWorld, Paper} from './key-world.js'

let world: KeyWorld

beforeEach(async () => {
  world = await KeyWorld.open()
})
afterEach(() => world.close())

const yes = async () => true
const OLD = 'snapshots/20261123T140200Z-old000.json'
const NEW = 'snapshots/20261123T140200Z-new000.json'
const plain = Buffer.from('{"format":1}')

describe('adding a way in', () => {
  test('by words opens the store with them, however they are composed', async () => {
    await world.begin()
    await addSlot(await world.keys(), {kind: 'passphrase', text: 'caf\u00E9 \uFB01ve'}, 'team')
    const {unlocked} = await world.read('other', {passphrase: 'cafe\u0301 five'})
    expect(unlocked?.slot).toMatchObject({kind: 'passphrase', label: 'team'})
    await expect(world.read('other', {passphrase: 'cafe five'})).rejects.toMatchObject({
      code: 'KEY',
    })
  })

  test('by a file makes one for its owner alone, and not over another', async () => {
    await world.begin()
    const file = path.join(world.root, 'ci.key')
    await addSlot(await world.keys(), {file, kind: 'file'})
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const keyFile = {named: '--key-file', path: file}
    await expect(world.read('ci', {keyFile})).resolves.toHaveProperty('unlocked')
    await expect(addSlot(await world.keys(), {file, kind: 'file'})).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
    })
    expect(await world.names('keys/')).toHaveLength(2)
  })

  test('is told by a survey that says what opens here', async () => {
    await world.begin()
    const opened = await world.keys()
    await addSlot(opened, {kind: 'passphrase', text: 'words'}, 'team')
    const survey = await surveySlots(await world.keys(), world.place())
    expect(survey.slots.map(({kind, openedBy}) => [kind, openedBy])).toEqual(
      expect.arrayContaining([
        ['file', world.fileOf(survey.repository)],
        ['passphrase', undefined],
      ]),
    )
    expect(JSON.stringify(survey)).not.toContain('dumont-key-')
  })

  test('takes words from a file that only its owner reads, or from stdin', async () => {
    const file = path.join(world.root, 'words')
    await writeFile(file, 'a b c\nsecond line\n', {mode: 0o600})
    expect(await readPassphrase(file, [] as never)).toBe('a b c')
    async function* stdin(text: string) {
      yield Buffer.from(text)
    }
    expect(await readPassphrase('-', stdin('typed\r\n'))).toBe('typed')
    await expect(readPassphrase('-', stdin('\n'))).rejects.toMatchObject({code: 'USAGE'})
    await expect(readPassphrase('-', stdin('x'.repeat(5000)))).rejects.toMatchObject({
      code: 'USAGE',
    })
    const open = path.join(world.root, 'open')
    await writeFile(open, 'words', {mode: 0o644})
    await expect(readPassphrase(open, [] as never)).rejects.toMatchObject({
      hint: `chmod 600 ${open}`,
    })
  })
})

describe('a second machine', () => {
  test('gets a key of its own, which is removed alone', async () => {
    const paper = new Paper()
    await world.begin({recovery: paper})
    const text = `dumont-key-${paper.groups.join('-')}`
    const imported = await importKey(await world.keys('desktop', {text}), 'desktop')
    expect(imported).toMatchObject({
      file: world.fileOf(imported.file.slice(-36, -4), 'desktop'),
      wasThere: false,
    })
    const again = await world.keys('desktop')
    expect(again.unlocked.slot.slot).toBe(imported.slot)
    expect(await importKey(again)).toMatchObject({wasThere: true})
    await removeSlot(await world.keys(), imported.slot, yes)
    await expect(world.read('desktop')).rejects.toMatchObject({code: 'KEY'})
    await expect(world.read()).resolves.toHaveProperty('unlocked')
  })
})

describe('removing a way in', () => {
  test('leaves the last', async () => {
    await world.begin()
    const opened = await world.keys()
    await expect(removeSlot(opened, opened.unlocked.slot.slot, yes)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('is the last'),
    })
    expect(await world.names('keys/')).toHaveLength(1)
  })

  test('says what it would mean before it asks, and does nothing after a no', async () => {
    await world.begin({recovery: new Paper()})
    const opened = await world.keys()
    const asked: Removal[] = []
    const no = async (removal: Removal) => {
      asked.push(removal)
      return false
    }
    for (const {slot} of opened.list.slots)
      expect(await removeSlot(opened, slot, no)).toBeUndefined()
    const told = asked.map(({isInUse, isLastRecovery, slot}) => [
      slot.kind,
      isInUse,
      isLastRecovery,
    ])
    expect(told).toEqual(
      expect.arrayContaining([
        ['file', true, false],
        ['recovery', false, true],
      ]),
    )
    expect(await world.names('keys/')).toHaveLength(2)
  })

  test('by two at once leaves one', async () => {
    await world.begin()
    await addSlot(await world.keys(), {kind: 'passphrase', text: 'words'})
    const both = await Promise.all([world.keys(), world.keys()])
    const [one, other] = both[0].list.slots
    await Promise.allSettled([
      removeSlot(both[0], one?.slot ?? '', yes),
      removeSlot(both[1], other?.slot ?? '', yes),
    ])
    expect((await world.names('keys/')).length).toBeGreaterThan(0)
  })

  test.each(['', 'zz', '../dumont.json', '0'.repeat(16)])('does not know %j', async (wanted) => {
    await world.begin({recovery: new Paper()})
    await expect(removeSlot(await world.keys(), wanted, yes)).rejects.toMatchObject({code: 'USAGE'})
    expect(await world.names('keys/')).toHaveLength(2)
  })
})

describe('rotating the keys', () => {
  test('seals with a new master, and shuts out what opened the store before', async () => {
    const before = new Paper()
    const {store} = await world.begin({recovery: before})
    await store.put(OLD, plain)
    await importKey(await world.keys('desktop', {text: before.groups.join('')}))
    const old = await world.read('desktop')
    const paper = new Paper()
    const rotated = await rotateKeys(await world.keys(), {confirm: yes, recovery: paper})
    expect(rotated?.removed).toHaveLength(3)
    const {store: after, unlocked} = await world.read()
    expect(unlocked?.keyring.masters).toHaveLength(2)
    await after.put(NEW, plain)
    expect(await after.get(OLD)).toEqual(plain)
    await expect(old.store.get(NEW)).rejects.toThrow('none of ours')
    await expect(world.read('desktop')).rejects.toMatchObject({code: 'KEY'})
    await expect(world.read('x', {text: before.groups.join('')})).rejects.toMatchObject({
      code: 'KEY',
    })
    const recovered = await world.read('x', {text: paper.groups.join('')})
    expect(await recovered.store.get(NEW)).toEqual(plain)
  })

  test('gives a machine that was shut out a new key when it brings the new text', async () => {
    const before = new Paper()
    await world.begin({recovery: before})
    await importKey(await world.keys('desktop', {text: before.groups.join('')}))
    const paper = new Paper()
    await rotateKeys(await world.keys(), {confirm: yes, recovery: paper})
    const opened = await world.keys('desktop', {text: paper.groups.join('')})
    const {file} = await importKey(opened)
    expect(await readFile(`${file}.old`, 'utf8')).toContain('dumont-key-')
    await expect(world.read('desktop')).resolves.toHaveProperty('unlocked')
  })

  test('keeps a passphrase', async () => {
    await world.begin()
    await addSlot(await world.keys(), {kind: 'passphrase', text: 'words'})
    const opened = await world.keys('other', {passphrase: 'words'})
    const rotated = await rotateKeys(opened, {confirm: yes, recovery: new Paper()})
    expect(rotated?.file).toBeUndefined()
    const {unlocked} = await world.read('other', {passphrase: 'words'})
    expect(unlocked?.slot.slot).toBe(rotated?.slot)
  })

  test.each([
    ['the question', {confirm: async () => false, recovery: new Paper()}],
    ['the recovery text', {confirm: yes, recovery: {confirm: async () => false}}],
  ])('changes nothing after a no to %s', async (_what, answers) => {
    await world.begin({recovery: new Paper()})
    const before = await world.names('keys/')
    expect(await rotateKeys(await world.keys(), answers)).toBeUndefined()
    expect(await world.names('keys/')).toEqual(before)
    await expect(world.read()).resolves.toHaveProperty('unlocked')
  })

  test.each([0, 1, 2])('that dies after %d steps can be begun again', async (steps) => {
    const {store} = await world.begin({recovery: new Paper()})
    await store.put(OLD, plain)
    const opened = await world.keys()
    const dying = {...opened, store: dyingStore(world.store, steps)}
    const wishes = {confirm: yes, recovery: new Paper()}
    await expect(rotateKeys(dying, wishes)).rejects.toThrow('power lost')
    expect(await (await world.read()).store.get(OLD)).toEqual(plain)
    await rotateKeys(await world.keys(), wishes)
    const after = await world.read()
    expect(await after.store.get(OLD)).toEqual(plain)
    expect(await world.names('keys/')).toHaveLength(2)
  })

  test('by two at once never makes two masters that do not know each other', async () => {
    await world.begin({recovery: new Paper()})
    const both = await Promise.all([world.keys(), world.keys()])
    const turns = await Promise.allSettled(
      both.map((opened) => rotateKeys(opened, {confirm: yes, recovery: new Paper()})),
    )
    const failed = turns.filter(({status}) => status === 'rejected')
    expect(failed.length).toBeGreaterThan(0)
    for (const each of failed) expect(each).toMatchObject({reason: {code: 'STORE_BUSY'}})
    const {list, unlocked} = await world.keys()
    expect(list.slots).toHaveLength(2)
    expect(unlocked.keyring.masters).toHaveLength(1 + turns.length - failed.length)
  })

  test('ends after fifteen times', async () => {
    await world.begin({recovery: new Paper()})
    for (let turn = 0; turn < 15; turn += 1)
      await rotateKeys(await world.keys(), {confirm: yes, recovery: new Paper()})
    await expect(
      rotateKeys(await world.keys(), {confirm: yes, recovery: new Paper()}),
    ).rejects.toMatchObject({code: 'KEY', hint: expect.stringContaining('new store')})
  })
})

describe('a recovery text', () => {
  test('that was not confirmed opens nothing', async () => {
    const {unlocked} = await world.begin()
    if (!unlocked) throw new Error('not unlocked')
    let groups: readonly string[] = []
    const confirm = async (shown: readonly string[]) => {
      groups = shown
      return false
    }
    const draft = {keeping: {confirm}, keyring: unlocked.keyring}
    expect(await addRecovery(world.store, world.place().random, draft)).toBeUndefined()
    await expect(world.read('x', {text: groups.join('')})).rejects.toMatchObject({code: 'KEY'})
  })
})
