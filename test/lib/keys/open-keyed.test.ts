import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {chmod, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {coldUnlock} from '../../../src/lib/keys/cold-unlock.js'
import {readSlots, removeSlots} from '../../../src/lib/keys/slots.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import {dyingStore, KeyWorld, Paper} from './key-world.js'

let world: KeyWorld

beforeEach(async () => {
  world = await KeyWorld.open()
})
afterEach(() => world.close())

const MANIFEST = 'snapshots/20261123T140200Z-k3f9qz.json'
const plain = Buffer.from('{"format":1}')

describe('the first use of a store', () => {
  test('seals it, with a key file for its owner alone', async () => {
    const {repository, store} = await world.begin()
    expect(repository).toMatchObject({isNew: true, protection: 'sealed'})
    expect(store.keys?.protection).toBe('sealed')
    const file = world.fileOf(repository?.id ?? '')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700)
    await store.put(MANIFEST, plain)
    const again = await world.read()
    expect(await again.store.get(MANIFEST)).toEqual(plain)
    expect(Buffer.from(await world.store.get(MANIFEST)).toString()).toContain('"sealed":')
  })

  test('can be told not to encrypt', async () => {
    const {repository, store} = await world.begin({encryption: false})
    expect(repository?.protection).toBe('authenticated')
    await store.put(MANIFEST, plain)
    expect(Buffer.from(await world.store.get(MANIFEST)).toString()).toMatch(/^\{"format":1,"mac":/)
  })

  test('writes down nothing and says so where no recovery text can be kept', async () => {
    await world.begin()
    expect(await world.names('keys/')).toHaveLength(1)
    expect(world.notes).toEqual([expect.stringContaining('dumont key add --recovery')])
  })

  test('stores a recovery slot once its text was confirmed, and not before', async () => {
    const refused = {confirm: async () => false}
    await world.begin({recovery: refused})
    expect(await world.names('keys/')).toHaveLength(1)
    expect(world.notes).toHaveLength(1)
  })

  test('leaves a recovery text that opens the store elsewhere', async () => {
    const paper = new Paper()
    await world.begin({recovery: paper})
    const asked: number[] = []
    const ask = async (_slots: unknown, attempt: number) => {
      asked.push(attempt)
      return attempt === 1 ? 'not this' : paper.groups.join(' ').toUpperCase()
    }
    const {unlocked} = await world.read('other', {ask})
    expect(unlocked?.slot.kind).toBe('recovery')
    expect(asked).toEqual([1, 2])
  })

  test('puts the recovery text into a file that was not there', async () => {
    const file = path.join(world.root, 'recovery.txt')
    await world.begin({recovery: {file}})
    const {unlocked} = await world.read('other', {keyFile: {named: '--key-file', path: file}})
    expect(unlocked?.slot.kind).toBe('recovery')
  })

  test('does not write the recovery text over another file, and can be repeated', async () => {
    const file = path.join(world.root, 'recovery.txt')
    await writeFile(file, 'mine')
    await expect(world.begin({recovery: {file}})).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
      message: `${file} is there already`,
    })
    expect(await readFile(file, 'utf8')).toBe('mine')
    await rm(file)
    await world.begin({recovery: {file}})
    expect((await readFile(file, 'utf8')).startsWith('dumont-key-')).toBe(true)
  })

  test('by two on one machine at once makes one store that both can open', async () => {
    const both = await Promise.all([world.begin(), world.begin()])
    const [one, other] = both.map(({repository}) => repository)
    expect(one?.id).toBe(other?.id)
    for (const {store} of both) await store.put(`snapshots/${Math.random()}.json`, plain)
    expect(await world.names('keys/')).toHaveLength(1)
    expect(await readdir(path.join(world.root, 'laptop/keys'))).toEqual([`${one?.id}.key`])
    const {store} = await world.read()
    for (const key of await world.names('snapshots/')) expect(await store.get(key)).toEqual(plain)
  })

  test('by two machines at once leaves the loser without a key, and nothing of it in the store', async () => {
    const both = await Promise.allSettled([world.begin({}, 'laptop'), world.begin({}, 'desktop')])
    const failed = both.filter(({status}) => status === 'rejected')
    expect(failed).toEqual([
      expect.objectContaining({reason: expect.objectContaining({code: 'KEY'})}),
    ])
    expect(await world.names('keys/')).toHaveLength(1)
    const folders = await Promise.all(
      ['laptop', 'desktop'].map((name) => readdir(path.join(world.root, name, 'keys'))),
    )
    expect(folders.flat()).toHaveLength(1)
  })

  test.each([0, 1, 2])(
    'that dies after %d writes leaves a store that the next one uses',
    async (steps) => {
      const dying = dyingStore(world.store, steps)
      await expect(world.begin({recovery: new Paper()}, 'laptop', dying)).rejects.toThrow(
        'power lost',
      )
      const {store, unlocked} = await world.begin()
      expect(unlocked?.isOwn).toBe(true)
      await store.put(MANIFEST, plain)
      expect(await (await world.read()).store.get(MANIFEST)).toEqual(plain)
      const {slots} = await readSlots(world.store, unlocked?.keyring.repository ?? '')
      expect(slots).toHaveLength(1)
    },
  )
})

describe('a store that is there', () => {
  test('without keys goes on without', async () => {
    await openRepository(world.store, {create: true})
    const {store, unlocked} = await world.begin()
    expect(unlocked).toBeUndefined()
    expect(store).toBe(world.store)
  })

  test('is not made by looking at it', async () => {
    expect(await world.read()).toEqual({store: world.store})
    expect(await world.names('')).toEqual([])
  })

  test.each([true, false])(
    'that is otherwise than asked for (%s) is refused',
    async (encryption) => {
      await world.begin({encryption: !encryption})
      await expect(world.begin({encryption, isAsked: true})).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('only for new stores'),
      })
      await expect(world.begin({encryption})).resolves.toBeDefined()
    },
  )

  test('sealed, is shut to a machine without a key, which learns what would open it', async () => {
    await world.begin({recovery: new Paper()})
    const failure = await world.read('other').catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'KEY',
      message: 'there is no key to memory: on this machine',
      hint: expect.stringMatching(/recovery [0-9a-f]{16}.*dumont key import/s),
    })
  })

  test('authenticated, can be read without a key, which is said, and not written', async () => {
    const {store} = await world.begin({encryption: false})
    await store.put(MANIFEST, plain)
    const other = await world.read('other')
    expect(await other.store.get(MANIFEST)).toEqual(plain)
    expect(world.notes.at(-1)).toContain('not proven')
    await expect(other.store.put('snapshots/x.json', plain)).rejects.toThrow('no key to write')
    // Marks and removals carry no MAC, so the way to them is shut as a whole.
    for (const write of [
      () => other.store.put('marks/x', plain),
      () => other.store.remove([MANIFEST]),
    ])
      await expect(write()).rejects.toMatchObject({code: 'KEY'})
  })

  test('authenticated, refuses a command that will write before anything is sent', async () => {
    const {repository} = await world.begin({encryption: false})
    await rm(world.fileOf(repository?.id ?? ''))
    await expect(world.begin({encryption: false})).rejects.toMatchObject({code: 'KEY'})
  })

  test('shut to a wrong key says what was tried', async () => {
    const {repository} = await world.begin()
    const file = world.fileOf(repository?.id ?? '')
    const other = await KeyWorld.open()
    try {
      const {repository: strange} = await other.begin()
      const keyFile = {named: '--key-file', path: other.fileOf(strange?.id ?? '')}
      await rm(file)
      await expect(world.read('laptop', {keyFile, passphrase: 'guess'})).rejects.toMatchObject({
        code: 'KEY',
        message: '--key-file, DUMONT_PASSPHRASE: no key to memory:',
      })
    } finally {
      await other.close()
    }
  })

  test('does not take a key that others on the machine can read', async () => {
    const {repository} = await world.begin()
    const file = world.fileOf(repository?.id ?? '')
    await chmod(file, 0o640)
    await expect(world.read()).rejects.toMatchObject({code: 'KEY', hint: `chmod 600 ${file}`})
  })

  test.each([
    ['a key file that is not there', {keyFile: {named: 'DUMONT_KEY_FILE', path: '/none'}}],
    ['a text with a slip', {text: `dumont-key-${'a'.repeat(56)}`}],
    ['a passphrase file that is not there', {passphraseFile: {named: 'x', path: '/none'}}],
  ])('is not tried further after %s was named', async (_what, sources) => {
    await world.begin()
    await expect(world.read('laptop', sources)).rejects.toMatchObject({code: 'KEY'})
  })

  test('that became another, or lost its protection, is refused', async () => {
    const {repository} = await world.begin()
    const body = JSON.parse(Buffer.from(await world.store.get('dumont.json')).toString()) as object
    for (const change of [
      {protection: undefined},
      {protection: 'authenticated'},
      {id: 'a'.repeat(32)},
    ]) {
      await world.store.put('dumont.json', Buffer.from(JSON.stringify({...body, ...change})), {
        onlyIfAbsent: false,
      })
      await expect(world.begin()).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining(repository?.id ?? '?'),
        hint: expect.stringContaining('remove /'),
      })
    }
  })

  test('that lost its protection is refused by its key file alone', async () => {
    await world.begin()
    const body = JSON.parse(Buffer.from(await world.store.get('dumont.json')).toString()) as object
    const open = Buffer.from(JSON.stringify({...body, protection: undefined}))
    await world.store.put('dumont.json', open, {onlyIfAbsent: false})
    await rm(path.join(world.root, 'laptop/state'), {recursive: true})
    await expect(world.begin()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('had keys'),
    })
  })

  test('that was emptied is not begun anew unnoticed', async () => {
    await world.begin()
    await world.store.remove(await world.names(''))
    await expect(world.begin()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('nothing of it is there any more'),
    })
    await expect(world.read()).rejects.toMatchObject({code: 'INTEGRITY'})
  })
})

describe('a cold unlock', () => {
  const cold = async () => {
    const {unlocked} = await world.read()
    if (!unlocked) throw new Error('not unlocked')
    return () => coldUnlock(world.store, unlocked, world.place().random)
  }

  test('opens the store again from disk and bucket, and tells its slots', async () => {
    const {store} = await world.begin({recovery: new Paper()})
    await store.put(MANIFEST, plain)
    const {slots, store: again} = await (await cold())()
    expect(slots.map(({kind}) => kind).toSorted()).toEqual(['file', 'recovery'])
    expect(await again.get(MANIFEST)).toEqual(plain)
  })

  test('fails when the key file is gone, or its slot', async () => {
    const {repository, unlocked} = await world.begin({recovery: new Paper()})
    const again = await cold()
    await removeSlots(world.store, [unlocked?.slot.slot ?? ''])
    await expect(again()).rejects.toMatchObject({code: 'KEY'})
    await rm(world.fileOf(repository?.id ?? ''))
    await expect(again()).rejects.toMatchObject({code: 'KEY'})
  })
})
