import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {directoryError} from '../../../src/lib/store/directory-errors.js'
import {DirectoryStore} from '../../../src/lib/store/directory-store.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

const text = (value: string) => Buffer.from(value)

describe('a directory store', () => {
  let folder: string
  let root: string
  let store: DirectoryStore
  const clock = new ShiftedClock()

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'dumont-directory-'))
    root = path.join(folder, 'store')
    store = await DirectoryStore.open(root, {clock})
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, {recursive: true})
  })

  const keys = async () => {
    const found: string[] = []
    for await (const {key} of store.list('')) found.push(key)
    return found
  }

  test('does not exist before something is put', async () => {
    expect(await keys()).toEqual([])
    expect(await store.head('a/b')).toBeUndefined()
    expect(Math.abs((await store.now()) - Date.now())).toBeLessThan(5000)
    await store.remove(['a/b'])
    expect(await readdir(folder)).toEqual([])
  })

  test('is named by its URL', () => {
    expect(store.url).toBe(`file://${root}`)
  })

  test('keeps objects as plain files for its owner alone', async () => {
    await store.put('packs/a/1', text('content'))
    expect(await readFile(path.join(root, 'packs/a/1'), 'utf8')).toBe('content')
    expect(await readdir(path.join(root, 'tmp'))).toEqual([])
  })

  test('removes folders with their last object', async () => {
    await store.put('packs/a/1', text('1'))
    await store.put('packs/b/1', text('1'))
    await store.remove(['packs/a/1'])
    expect(await readdir(path.join(root, 'packs'))).toEqual(['b'])
  })

  test('survives that objects come and go in one folder at once', async () => {
    const work = async (index: number) => {
      const key = `packs/a/${index % 4}`
      await store.put(key, text('1'))
      await store.remove([key])
    }
    await Promise.all(Array.from({length: 60}, (_, index) => work(index)))
    expect(await keys()).toEqual([])
  })

  test('never shows what is unfinished, and sweeps it after a day', async () => {
    await store.put('a', text('1'))
    const [old, young] = [path.join(root, 'tmp/old'), path.join(root, 'tmp/young')]
    await writeFile(old, 'half')
    await writeFile(young, 'half')
    await utimes(old, new Date(), new Date(Date.now() - 25 * 3_600_000))
    expect(await keys()).toEqual(['a'])
    await DirectoryStore.open(root, {clock})
    expect(await readdir(path.join(root, 'tmp'))).toEqual(['young'])
  })

  test('shows nothing of a PUT whose process was killed in the middle', async () => {
    await store.put('a', text('1'))
    // The same steps as the store's, in a process that never gets to the link.
    const script = `
      const fs = require('node:fs')
      const file = fs.openSync(process.argv[1], 'wx')
      fs.writeSync(file, 'half of it'); fs.fsyncSync(file); process.stdout.write('written')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['-e', script, path.join(root, 'tmp/0123')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await keys()).toEqual(['a'])
    expect(await store.put('b', text('2'))).toBe('created')
  })

  test('leaves nothing when a body breaks off, is too long, or is damaged', async () => {
    const expected = {length: 10, pin: pinOf('crc32', text('0123456789'))}
    async function* broken() {
      yield text('01234')
      throw new Error('cut')
    }
    async function* of(...pieces: string[]) {
      for (const piece of pieces) yield text(piece)
    }
    await expect(store.receive('packs/a', broken(), expected)).rejects.toMatchObject({
      name: 'DumontError',
    })
    expect(await store.receive('packs/a', of('01234', '567890'), expected)).toBe('cut')
    expect(await store.receive('packs/a', of('01234'), expected)).toBe('cut')
    expect(await store.receive('packs/a', of('01234', '5678x'), expected)).toBe('damaged')
    expect(await keys()).toEqual([])
    expect(await readdir(path.join(root, 'tmp'))).toEqual([])
    expect(await store.receive('packs/a', of('01234', '56789'), expected)).toBe('created')
  })

  test('does not follow links out of its directory', async () => {
    await writeFile(path.join(folder, 'outside'), 'secret')
    await store.put('a', text('1'))
    await symlink(path.join(folder, 'outside'), path.join(root, 'link'))
    expect(await keys()).toEqual(['a'])
    await expect(store.get('link')).rejects.toMatchObject({name: 'DumontError'})
  })

  test('vouches for what lies on the disk now, not for what was written', async () => {
    await store.put('a', text('right'))
    await writeFile(path.join(root, 'a'), 'wrong')
    expect((await store.head('a'))?.pins).toContainEqual(pinOf('crc32', text('wrong')))
  })

  test('says when its place is taken by a file', async () => {
    await writeFile(path.join(folder, 'file'), '')
    const open = DirectoryStore.open(path.join(folder, 'file'), {clock})
    await expect(open.then((taken) => taken.put('a', text('1')))).rejects.toMatchObject({
      code: 'CONFIG',
    })
  })

  const asUser = process.getuid?.() === 0 ? test.skip : test
  asUser('says when it may not be written', async () => {
    await mkdir(root)
    await chmod(root, 0o500)
    await expect(store.put('a', text('1'))).rejects.toMatchObject({code: 'ACCESS_DENIED'})
  })

  test.each([
    ['EACCES', 'ACCESS_DENIED'],
    ['EPERM', 'ACCESS_DENIED'],
    ['ENOSPC', 'TARGET_UNWRITABLE'],
    ['EDQUOT', 'TARGET_UNWRITABLE'],
    ['EROFS', 'TARGET_UNWRITABLE'],
    ['ENOTDIR', 'CONFIG'],
    ['EOPNOTSUPP', 'STORE_UNSUITABLE'],
    ['EIO', 'UNREACHABLE'],
  ])('tells %s as %s and names the directory', (code, expected) => {
    const error = directoryError('/the/store', Object.assign(new Error('x'), {code}))
    expect(error).toMatchObject({code: expected, message: expect.stringContaining('/the/store')})
  })
})
