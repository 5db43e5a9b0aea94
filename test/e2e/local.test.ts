import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {
  appendFile,
  link,
  mkdir,
  readFile,
  readdir,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {type Answer, answered, dumont} from './dumont.js'
import {differences, makeMatrix, scratch} from './trees.js'

// This machine as the box and a directory as the store: the whole product without a server.
let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
})
afterAll(() => remove())

function place(name: string): string[] {
  return ['--host', 'local', '--store', pathToFileURL(join(folder, name)).href]
}

function storeOf(name: string): string[] {
  return ['--store', pathToFileURL(join(folder, name)).href]
}

async function workspace(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name)
  for (const [file, text] of Object.entries(files)) {
    await mkdir(join(path, file, '..'), {recursive: true})
    await writeFile(join(path, file), text)
  }
  return path
}

const create = (...argv: string[]) => answered(['snapshot', 'create', ...argv])
const restore = (...argv: string[]) => answered(['snapshot', 'restore', ...argv])

describe('a workspace that holds every kind of entry', () => {
  let matrix: string
  let first: Answer & {readonly code: number | null}
  beforeAll(async () => {
    matrix = await makeMatrix(join(folder, 'matrix'))
    first = await create(...place('matrix-store'), matrix)
  })

  test('is saved whole: sockets are a note, not a failure', () => {
    expect(first).toMatchObject({code: 0, id: expect.stringMatching(/^\d{8}T\d{6}Z-[a-z2-7]{6}$/u)})
  })

  test('comes back equal in every property', async () => {
    const target = join(folder, 'matrix-restored')
    const where = [...place('matrix-store'), '--target', target, '--devices', '--privileges']
    expect(await restore(first.id, ...where)).toMatchObject({code: 0})
    expect(await differences(matrix, target, 'sockets')).toEqual([])
  })

  test('comes back without device nodes and privileges unless they are asked for', async () => {
    const target = join(folder, 'matrix-without-devices')
    expect(await restore(first.id, ...place('matrix-store'), '--target', target)).toMatchObject({
      code: 0,
    })
    const found = await differences(matrix, target, 'sockets')
    const expected =
      /^specials\/(?:null|loop): exists|^(?:modes|owners)\/.*: mode: |security\.capability/u
    expect(found.filter((line) => !expected.test(line))).toEqual([])
    expect(found.length).toBeGreaterThan(0)
  })

  test('costs nothing to save again', async () => {
    const packs = async () =>
      (await readdir(join(folder, 'matrix-store/packs'), {recursive: true})).length
    const before = await packs()
    expect(await create(...place('matrix-store'), matrix)).toMatchObject({
      code: 0,
      lineage: first.lineage,
      newBytes: 0,
    })
    expect(await packs()).toBe(before)
  })

  test('is found whole by every level of verify', async () => {
    for (const level of ['listed', 'stored', 'decoded']) {
      const outcome = await dumont([
        'snapshot',
        'verify',
        first.id,
        ...storeOf('matrix-store'),
        '--level',
        level,
      ])
      expect(outcome).toMatchObject({code: 0})
    }
  })
})

describe('the next snapshot', () => {
  test('sends only what has changed and brings all of it back', async () => {
    const path = await workspace('day', {'a/one': 'one', 'a/two': 'two', log: 'begin\n'})
    const first = await create(...place('day-store'), path)
    await appendFile(join(path, 'log'), 'more\n')
    await writeFile(join(path, 'a/three'), 'three')
    await rm(join(path, 'a/one'))
    await link(join(path, 'a/two'), join(path, 'two-again'))
    const second = await create(...place('day-store'), path)
    expect(second).toMatchObject({code: 0, files: 4, lineage: first.lineage})
    expect(second.newBytes).toBeLessThan(100)
    const target = join(folder, 'day-restored')
    await restore('latest', ...place('day-store'), '--target', target)
    expect(await differences(path, target)).toEqual([])
  })

  test('notices a change that keeps size and mtime', async () => {
    const path = await workspace('sly', {file: 'before'})
    await create(...place('sly-store'), path)
    const {atime, mtime} = await stat(join(path, 'file'))
    await writeFile(join(path, 'file'), 'after!')
    await utimes(join(path, 'file'), atime, mtime)
    await create(...place('sly-store'), path)
    await restore('latest', ...place('sly-store'), '--target', join(folder, 'sly-restored'))
    expect(await readFile(join(folder, 'sly-restored/file'), 'utf8')).toBe('after!')
  })
})

describe('several roots', () => {
  test('come back each under its absolute path below the target', async () => {
    const [a, b] = [await workspace('roots/a', {x: '1'}), await workspace('roots/b', {y: '2'})]
    const {id} = await create(...place('roots-store'), a, b)
    const target = join(folder, 'roots-restored')
    await restore(id, ...place('roots-store'), '--target', target)
    expect(await differences(a, join(target, a))).toEqual([])
    expect(await differences(b, join(target, b))).toEqual([])
  })

  test('collapse to the outermost when one lies in the other', async () => {
    const path = await workspace('nested', {'inner/x': '1', y: '2'})
    const {id} = await create(...place('nested-store'), path, join(path, 'inner'))
    const target = join(folder, 'nested-restored')
    await restore(id, ...place('nested-store'), '--target', target)
    expect(await differences(path, target)).toEqual([])
  })

  test('that are one file come back as that file in the target', async () => {
    const path = await workspace('single', {'model.bin': 'weights'})
    const {id} = await create(...place('single-store'), join(path, 'model.bin'))
    await restore(id, ...place('single-store'), '--target', join(folder, 'single-restored'))
    expect(await readFile(join(folder, 'single-restored/model.bin'), 'utf8')).toBe('weights')
  })
})

describe('relative paths on this machine', () => {
  test('begin at the working directory, and --quiet prints the id alone', async () => {
    await workspace('here/work', {file: 'content'})
    const cwd = join(folder, 'here')
    const created = await dumont(['snapshot', 'create', ...place('relative'), '--quiet', 'work'], {
      cwd,
    })
    expect(created).toMatchObject({code: 0, stderr: ''})
    expect(created.stdout).toMatch(/^\d{8}T\d{6}Z-[a-z2-7]{6}\n$/u)
    const wanted = [created.stdout.trim(), ...place('relative'), '--target', './back']
    expect(await dumont(['snapshot', 'restore', ...wanted], {cwd})).toMatchObject({code: 0})
    expect(await readFile(join(cwd, 'back/file'), 'utf8')).toBe('content')
  })
})

describe('what is left out', () => {
  test('is what --exclude and .dumontignore name, and nothing else', async () => {
    const path = await workspace('ignoring', {
      '.dumontignore': '*.tmp\n!keep.tmp\n',
      'drop.tmp': 'x',
      'keep.tmp': 'x',
      'sub/drop.tmp': 'x',
      'sub/kept': 'x',
      'wandb/run': 'x',
    })
    expect(await create(...place('ignoring-store'), path, '--exclude', 'wandb/')).toMatchObject({
      code: 0,
    })
    const target = join(folder, 'ignoring-restored')
    await restore('latest', ...place('ignoring-store'), '--target', target)
    const names = await readdir(target, {recursive: true})
    expect(names.toSorted()).toEqual(['.dumontignore', 'keep.tmp', 'sub', 'sub/kept'])
  })

  test('are caches only when asked, and never the models of Hugging Face', async () => {
    const tag = 'Signature: 8a477f597d28d172789f06886806bc55'
    const path = await workspace('caches', {
      '.cache/huggingface/hub/model': 'x',
      '.cache/pip/http/a': 'x',
      'code/__pycache__/a.pyc': 'x',
      'tagged/CACHEDIR.TAG': tag,
      'tagged/thing': 'x',
      '.git/HEAD': 'x',
    })
    const saved = await create(...place('caches-store'), path, '--exclude-caches')
    expect(saved.leftOut?.['cache']?.bytes).toBeGreaterThan(0)
    const target = join(folder, 'caches-restored')
    await restore('latest', ...place('caches-store'), '--target', target)
    const names = await readdir(target, {recursive: true})
    expect(names).toEqual(expect.arrayContaining(['.cache/huggingface/hub/model', '.git/HEAD']))
    expect(names).not.toEqual(expect.arrayContaining(['code/__pycache__/a.pyc']))
    expect(names).not.toEqual(expect.arrayContaining(['tagged/thing']))
  })
})

describe('a restore over an existing tree', () => {
  let path: string
  beforeAll(async () => {
    path = await workspace('over', {'dir/deep': 'deep', file: 'saved', other: 'other'})
    await create(...place('over-store'), path)
  })
  const into = (name: string, ...more: string[]) =>
    restore('latest', ...place('over-store'), '--target', join(folder, name), ...more)

  test('replaces what differs and leaves equal files alone', async () => {
    await into('over-a')
    const before = await stat(join(folder, 'over-a/other'))
    await writeFile(join(folder, 'over-a/file'), 'changed since')
    await into('over-a')
    expect(await differences(path, join(folder, 'over-a'))).toEqual([])
    expect((await stat(join(folder, 'over-a/other'))).ino).toBe(before.ino)
  })

  test('keeps what is there with --overwrite never', async () => {
    const target = await workspace('over-b', {file: 'mine'})
    await into('over-b', '--overwrite', 'never')
    expect(await readFile(join(target, 'file'), 'utf8')).toBe('mine')
    expect(await readFile(join(target, 'other'), 'utf8')).toBe('other')
  })

  test('keeps what the snapshot does not know, unless --delete', async () => {
    const target = await workspace('over-c', {'dir/extra': 'x', extra: 'x'})
    await into('over-c')
    expect(await readdir(target)).toContain('extra')
    await into('over-c', '--delete', '--yes')
    expect(await differences(path, target)).toEqual([])
  })

  test('takes only what --include names', async () => {
    await into('over-d', '--include', 'dir/**')
    expect(await readdir(join(folder, 'over-d'))).toEqual(['dir'])
  })

  test('writes nothing with --dry-run', async () => {
    expect(await into('over-e', '--dry-run')).toMatchObject({code: 0})
    await expect(readdir(join(folder, 'over-e'))).rejects.toThrow('ENOENT')
  })
})

describe('list, show and delete', () => {
  test('a deleted snapshot is gone at once and its neighbour stays whole', async () => {
    const path = await workspace('listed', {file: 'one'})
    const first = await create(...place('listed-store'), path, '--name', 'train-a')
    await writeFile(join(path, 'file'), 'two')
    const second = await create(...place('listed-store'), path, '--name', 'train-a')
    const shown = await dumont(['snapshot', 'list', ...storeOf('listed-store')])
    expect(shown.stdout).toContain(first.id)
    expect(shown.stdout).toContain('train-a')
    const removed = await dumont([
      'snapshot',
      'delete',
      first.id,
      '--yes',
      ...storeOf('listed-store'),
    ])
    expect(removed.code).toBe(0)
    const after = await dumont(['snapshot', 'list', '--json', ...storeOf('listed-store')])
    const left = JSON.parse(after.stdout) as {snapshots: readonly {id: string}[]}
    expect(left.snapshots.map(({id}) => id)).toEqual([second.id])
    const verified = await dumont([
      'snapshot',
      'verify',
      second.id,
      '--level',
      'decoded',
      ...storeOf('listed-store'),
    ])
    expect(verified.code).toBe(0)
  })
})
