import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {answered, dumont, ROOT, sharedHome} from './dumont.js'
import {failure} from './failure.js'
import {mountTmpfs, testWithMount} from './mounts.js'
import {scratch} from './trees.js'

let folder: string
let workspace: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
  workspace = join(folder, 'workspace')
  await mkdir(workspace)
  await writeFile(join(workspace, 'file'), 'content')
})
afterAll(() => remove())

const store = (name: string) => pathToFileURL(join(folder, name)).href
const local = (name: string) => ['--host', 'local', '--store', store(name)]

describe('wrong words', () => {
  test.each([
    [['create', '--host', 'local', '--no-such-flag'], /no-such-flag/u],
    [['create', '--host', 'local', '--parts', 'many'], /parts/u],
    [['create', '--host', 'local', '--codec', 'zip'], /codec/u],
    [['create', '--host', 'local', '--memory', 'lots'], /memory/u],
    [['create'], /host/u],
    [['show'], /ID is missing/u],
    [['list', '--nam', 'x'], /--name/u],
    [['list', 'more'], /takes no arguments/u],
    [['restroe', 'latest'], /dumont snapshot restore/u],
    [['create', '--host', 'local', '~/work'], /home directory/u],
  ])('%j is a usage error', async (argv, message) => {
    const {code, error, text} = await failure(argv)
    expect({code, error}).toEqual({code: 2, error: 'USAGE'})
    expect(text).toMatch(message)
  })

  test('a hint is one line, so that a command in it can be copied', async () => {
    const {stderr} = await dumont(['snapshot', 'show', 'latest', '--store', store('nothing')])
    expect(stderr.split('\n')).toEqual([
      'Error: this store holds no snapshot',
      expect.stringMatching(/^Try this: .*--store$/u),
      '',
    ])
  })

  test('a store of an unknown kind names the kinds there are', async () => {
    const {code, text} = await failure(['list', '--store', 'ftp://somewhere/else'])
    expect([2, 78]).toContain(code)
    expect(text).toMatch(/file:\/\//u)
    expect(text).toMatch(/s3:\/\//u)
  })

  test('a wrong value in the config file names the file and the expected form', async () => {
    const home = join(folder, 'home-with-config')
    await mkdir(home)
    await writeFile(join(home, '.dumontrc.json'), '{"parts": "many"}')
    const {code, error, text} = await failure(['list'], {cwd: home, home})
    expect({code, error}).toEqual({code: 78, error: 'CONFIG'})
    expect(text).toMatch(/\.dumontrc\.json/u)
    expect(text).toMatch(/parts/u)
  })

  test('a wrong value in the environment names the variable', async () => {
    const {code, text} = await failure(['list'], {env: {DUMONT_STORE: 'nonsense'}})
    expect(code).toBe(78)
    expect(text).toMatch(/DUMONT_STORE/u)
  })
})

describe('a snapshot', () => {
  test('that nobody knows is a usage error that says how to see what there is', async () => {
    await answered(['snapshot', 'create', ...local('known'), workspace])
    const {code, error, text} = await failure([
      'show',
      '20200101T000000Z',
      '--store',
      store('known'),
    ])
    expect({code, error}).toEqual({code: 2, error: 'SNAPSHOT_UNKNOWN'})
    expect(text).toMatch(/snapshot list/u)
  })

  test('whose id begins like another is refused and both are named', async () => {
    const one = await answered(['snapshot', 'create', ...local('two'), workspace])
    const two = await answered(['snapshot', 'create', ...local('two'), workspace])
    const {code, text} = await failure(['show', '20', '--store', store('two')])
    expect(code).toBe(2)
    for (const {id} of [one, two]) expect(text).toContain(id)
  })

  test('"latest" of a store with two lineages lists them instead of choosing', async () => {
    await answered(['snapshot', 'create', ...local('lineages'), '--name', 'train-a', workspace])
    await answered(['snapshot', 'create', ...local('lineages'), '--name', 'train-b', workspace])
    const {code, text} = await failure(['show', 'latest', '--store', store('lineages')])
    expect(code).toBe(2)
    expect(text).toMatch(/train-a.*train-b|train-b.*train-a/u)
  })

  test('of a newer format is refused with the version named', async () => {
    const id = '20261123T140200Z-golden'
    const golden = join(ROOT, 'test/fixtures/format-1/store')
    await cp(golden, join(folder, 'newer'), {recursive: true})
    const manifest = join(folder, 'newer/snapshots', `${id}.json`)
    const text = await readFile(manifest, 'utf8')
    await rm(manifest, {force: true})
    await writeFile(manifest, text.replace(/"format":\s*1\b/u, '"format": 7'))
    const failed = await failure(['restore', id, ...local('newer'), '--target', join(folder, 'x')])
    expect(failed).toMatchObject({code: 65, error: 'FORMAT_NEWER'})
    expect(failed.text).toMatch(/\b7\b/u)
  })

  test('with a damaged object fails verify, and a restore names the file it cannot bring back', async () => {
    const {id} = await answered(['snapshot', 'create', ...local('damaged'), workspace])
    const packs = join(folder, 'damaged/packs')
    const pack = (await readdir(packs, {recursive: true})).find((name) => name.includes('/'))
    const bytes = await readFile(join(packs, pack ?? ''))
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1
    await rm(join(packs, pack ?? ''), {force: true})
    await writeFile(join(packs, pack ?? ''), bytes)
    const verified = await failure([
      'verify',
      id,
      '--store',
      store('damaged'),
      '--level',
      'decoded',
    ])
    expect(verified.code).toBe(65)
    expect(verified.text).toContain('file')
    const target = join(folder, 'damaged-restored')
    const restored = await dumont([
      'snapshot',
      'restore',
      id,
      ...local('damaged'),
      '--target',
      target,
    ])
    expect(restored.code).toBe(65)
    expect(restored.stderr).toContain('file')
    expect(await readdir(target).catch(() => [])).toEqual([])
  })

  test('that is being looked for in a store that is empty is unknown', async () => {
    expect(await failure(['show', 'latest', '--store', store('empty')])).toMatchObject({code: 2})
  })
})

describe('a store', () => {
  testWithMount('without room is said to be full, and holds no snapshot', async () => {
    const small = await mkdtemp(join(folder, 'full-'))
    mountTmpfs(small)
    try {
      const large = join(folder, 'more-than-fits')
      await mkdir(large)
      await writeFile(join(large, 'noise'), randomBytes(4 << 20))
      const at = ['--store', pathToFileURL(join(small, 'store')).href]
      const failed = await failure(['create', '--host', 'local', ...at, large])
      expect(failed).toMatchObject({code: 73, error: 'TARGET_UNWRITABLE'})
      expect(failed.text).toMatch(/no space left.*Try this/u)
      expect(await answered(['snapshot', 'list', ...at])).toMatchObject({snapshots: []})
    } finally {
      execFileSync('umount', ['-l', small])
    }
  })
})

describe('the target', () => {
  let id: string
  beforeAll(async () => {
    id = (await answered(['snapshot', 'create', ...local('source'), workspace])).id
  })

  test('below a file cannot be written', async () => {
    await writeFile(join(folder, 'in-the-way'), '')
    const target = join(folder, 'in-the-way/target')
    const failed = await failure(['restore', id, ...local('source'), '--target', target])
    expect(failed).toMatchObject({code: 73, error: 'TARGET_UNWRITABLE'})
    expect(failed.text).toContain('in-the-way')
  })

  test('has to be named when the box is this machine', async () => {
    expect(await failure(['restore', id, ...local('source')])).toMatchObject({code: 2})
  })

  test.each(['/', '~'])('is never %s of this machine', async (target) => {
    const path = target === '~' ? sharedHome() : target
    const failed = await failure(['restore', id, ...local('source'), '--target', path])
    expect([2, 77]).toContain(failed.code)
  })

  testWithMount('on a disk that is too small is refused before anything is written', async () => {
    const small = await mkdtemp(join(folder, 'small-'))
    mountTmpfs(small)
    try {
      await writeFile(join(workspace, 'large'), Buffer.alloc(1 << 20, 'text '))
      const large = await answered(['snapshot', 'create', ...local('source'), workspace])
      const failed = await failure(['restore', large.id, ...local('source'), '--target', small])
      expect(failed).toMatchObject({code: 73, error: 'BOX_DISK_FULL'})
      expect(await readdir(small)).toEqual([])
    } finally {
      execFileSync('umount', ['-l', small])
    }
  })
})
