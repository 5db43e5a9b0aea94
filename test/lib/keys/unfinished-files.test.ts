import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {chmod, link, mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {addSlot} from '../../../src/lib/keys/add-slot.js'
import {openKeysOf} from '../../../src/lib/keys/opened-keys.js'
import {rotateKeys} from '../../../src/lib/keys/rotate-keys.js'
import type {Store} from '../../../src/lib/store/store.js'
import {KeyWorld, Paper} from './key-world.js'

let world: KeyWorld
let file: string
let home: string

beforeEach(async () => {
  world = await KeyWorld.open()
  home = path.join(world.root, 'papers')
  file = path.join(home, 'recovery.txt')
})
afterEach(() => world.close())

const named = () => ({keyFile: {named: '--key-file', path: file}})
const kinds = async () => (await world.keys()).list.slots.map(({kind}) => kind).toSorted()
const unfinished = async () => {
  const {repository} = await world.keys()
  return `recovery.txt.${repository.id.slice(0, 8)}.unfinished`
}

/** Fails at this write of all, counted from one: before it is done, or when its answer should be heard. */
function failing(store: Store, at: number, when: 'after' | 'before' = 'before'): Store {
  let writes = 0
  return new Proxy(store, {
    get(target, member) {
      const value: unknown = Reflect.get(target, member)
      if (typeof value !== 'function') return value
      if (member !== 'put') return value.bind(target) as unknown
      return async (...args: unknown[]) => {
        const isWrite = !String(args[0]).startsWith('probe/')
        const isLast = isWrite && ++writes === at
        if (isLast && when === 'before') throw new Error('power lost')
        const answer: unknown = await Reflect.apply(value, target, args)
        if (isLast) throw new Error('power lost')
        return answer
      }
    },
  })
}

describe('a first use that is cut short around its recovery file', () => {
  /** The slot of this machine's key and `dumont.json` come first. */
  const RECOVERY = 3

  /** What is there now is finished by the same command, and one slot is what it leaves. */
  const goesOn = async () => {
    await world.begin({recovery: {file}})
    expect(await readdir(home)).toEqual(['recovery.txt'])
    expect(await kinds()).toEqual(['file', 'recovery'])
    const {unlocked} = await world.read('other', named())
    expect(unlocked?.slot.kind).toBe('recovery')
  }

  test('before its slot is stored leaves nothing that passes for a recovery text', async () => {
    const dying = failing(world.store, RECOVERY)
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    expect(await readdir(home)).toEqual([await unfinished()])
    const text = await readFile(path.join(home, await unfinished()), 'utf8')
    await goesOn()
    expect(await readFile(file, 'utf8')).toBe(text)
  })

  test('after its slot is stored goes on with that slot', async () => {
    const dying = failing(world.store, RECOVERY, 'after')
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    expect(await readdir(home)).toEqual([await unfinished()])
    expect(await kinds()).toEqual(['file', 'recovery'])
    await goesOn()
  })

  test('after the file has its name takes the other name away', async () => {
    await world.begin({recovery: {file}})
    await link(file, path.join(home, await unfinished()))
    await goesOn()
  })

  test('while it was written is begun anew', async () => {
    await world.begin()
    await mkdir(home)
    await writeFile(path.join(home, await unfinished()), 'dumont-key-half')
    await goesOn()
  })

  test('goes on where another machine has kept a recovery text meanwhile', async () => {
    const dying = failing(world.store, RECOVERY)
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    await world.begin({recovery: {file: path.join(world.root, 'another')}})
    await world.begin({recovery: {file}})
    expect(await readdir(home)).toEqual(['recovery.txt'])
    await expect(world.read('other', named())).resolves.toHaveProperty('unlocked')
  })

  test('does not go on with a text that others could read', async () => {
    const dying = failing(world.store, RECOVERY)
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    const draft = path.join(home, await unfinished())
    await chmod(draft, 0o644)
    await expect(world.begin({recovery: {file}})).rejects.toMatchObject({
      code: 'KEY',
      hint: `chmod 600 ${draft}`,
    })
  })

  test('touches no file that came in its place', async () => {
    const dying = failing(world.store, RECOVERY)
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    await writeFile(file, 'mine')
    await expect(world.begin({recovery: {file}})).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
      message: `${file} is there already`,
    })
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect(await kinds()).toEqual(['file'])
  })

  test('shares nothing with a store of another prefix', async () => {
    const dying = failing(world.store, RECOVERY)
    await expect(world.begin({recovery: {file}}, 'laptop', dying)).rejects.toThrow('power lost')
    const draft = path.join(home, await unfinished())
    const secret = await readFile(draft, 'utf8')
    const other = await KeyWorld.open()
    try {
      await other.begin({recovery: {file}})
      expect(await readFile(file, 'utf8')).not.toBe(secret)
      expect(await readFile(draft, 'utf8')).toBe(secret)
    } finally {
      await other.close()
    }
  })
})

describe('other files with keys', () => {
  test('of a further machine are finished by the same command', async () => {
    await world.begin()
    const dying = failing(world.store, 1)
    const wish = {file, kind: 'file'} as const
    await expect(addSlot({...(await world.keys()), store: dying}, wish)).rejects.toThrow('power')
    expect(await readdir(home)).toEqual([await unfinished()])
    await addSlot(await world.keys(), wish, 'ci')
    expect(await readdir(home)).toEqual(['recovery.txt'])
    const {unlocked} = await world.read('ci', named())
    expect(unlocked?.slot).toMatchObject({kind: 'file', label: 'ci'})
  })

  const wishes = () => ({confirm: async () => true, recovery: {file}})

  test.each([1, 2])('of a rotation that dies at its write %d are finished', async (write) => {
    await world.begin({recovery: new Paper()})
    const dying = failing(world.store, write)
    const opened = await world.keys()
    await expect(rotateKeys({...opened, store: dying}, wishes())).rejects.toThrow('power lost')
    if (write === 1) expect(await readdir(home)).toEqual([await unfinished()])
    else await expect(world.read('other', named())).resolves.toHaveProperty('unlocked')
    const again = rotateKeys(await world.keys(), wishes())
    if (write === 1) await again
    // The first one's text opens the store, and is not written over.
    else await expect(again).rejects.toMatchObject({code: 'TARGET_UNWRITABLE'})
    await expect(world.read('other', named())).resolves.toHaveProperty('unlocked')
  })

  test('of a rotation that gave way to another no longer pass for good', async () => {
    await world.begin({recovery: new Paper()})
    const opened = await world.keys()
    const rival = await openKeysOf(world.store, world.place())
    await addSlot(rival, {file: path.join(world.root, 'rival'), kind: 'file'})
    await expect(rotateKeys(opened, wishes())).rejects.toMatchObject({code: 'STORE_BUSY'})
    expect(await readdir(home)).toEqual([await unfinished()])
    expect(await kinds()).toEqual(['file', 'file', 'recovery'])
    await rotateKeys(await world.keys(), wishes())
    expect(await readdir(home)).toEqual(['recovery.txt'])
    await expect(world.read('other', named())).resolves.toHaveProperty('unlocked')
  })
})
