import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {openConfigTarget} from '../../../src/lib/settings/config-target.js'

describe('the configuration file', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'dumont-config-'))
    file = path.join(folder, 'new/config.json')
  })
  afterEach(() => rm(folder, {recursive: true}))

  const content = async () => JSON.parse(await readFile(file, 'utf8')) as unknown
  const begin = async (text: string, mode = 0o644) => {
    await mkdir(path.dirname(file), {recursive: true})
    await writeFile(file, text)
    await chmod(file, mode)
  }

  test('is made with its folder, for its owner alone', async () => {
    const target = await openConfigTarget(file)
    expect(target.hasStore(undefined)).toBe(false)
    await target.write(undefined, {store: 's3://b', secretAccessKey: 'x'})
    expect(await content()).toEqual({store: 's3://b', secretAccessKey: 'x'})
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700)
    expect(await readdir(path.dirname(file))).toEqual(['config.json'])
  })

  test('loses its open mode when secrets come in', async () => {
    await begin('{"parts": 4}')
    await (await openConfigTarget(file)).write(undefined, {store: 's3://b', secretAccessKey: 'x'})
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('keeps all else when the store is replaced', async () => {
    await begin(
      JSON.stringify({
        parts: 4,
        store: '/old',
        endpoint: 'https://old',
        accessKeyId: 'old',
        profiles: {a: {store: '/a'}},
      }),
    )
    const target = await openConfigTarget(file)
    expect(target.hasStore(undefined)).toBe(true)
    await target.write(undefined, {store: '/new'})
    expect(await content()).toEqual({parts: 4, store: '/new', profiles: {a: {store: '/a'}}})
  })

  test('keeps other profiles when one is written', async () => {
    await begin(
      JSON.stringify({
        store: '/top',
        profiles: {a: {store: '/a'}, b: {store: '/b', codec: 'none'}},
      }),
    )
    const target = await openConfigTarget(file)
    expect([target.hasStore('b'), target.hasStore('c')]).toEqual([true, false])
    await target.write('b', {store: '/new'})
    expect(await content()).toEqual({
      store: '/top',
      profiles: {a: {store: '/a'}, b: {store: '/new', codec: 'none'}},
    })
  })

  test('stays where a link leads', async () => {
    const real = path.join(folder, 'real.json')
    await writeFile(real, '{}')
    await mkdir(path.dirname(file))
    await symlink(real, file)
    await (await openConfigTarget(file)).write(undefined, {store: '/new'})
    expect((await lstat(file)).isSymbolicLink()).toBe(true)
    expect(JSON.parse(await readFile(real, 'utf8'))).toEqual({store: '/new'})
  })

  test.each(['{"store": ', '[]', 'store: /yaml', '"text"'])(
    'is not touched when it is not understood: %s',
    async (text) => {
      await begin(text)
      await expect(openConfigTarget(file)).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining(file),
      })
      expect(await readFile(file, 'utf8')).toBe(text)
    },
  )

  test('that cannot be written says so', async () => {
    await writeFile(path.join(folder, 'taken'), '')
    const target = await openConfigTarget(path.join(folder, 'made/config.json'))
    await symlink('/proc/none', path.join(folder, 'made'))
    await expect(target.write(undefined, {store: '/x'})).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
    })
  })
})
