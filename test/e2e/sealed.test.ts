import {createHash, randomBytes} from 'node:crypto'
import {cp, mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {type Sshd, sshdAvailable, startSshd} from '../support/sshd.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {answered, dumont, sharedHome} from './dumont.js'
import {credentials, type Operator, startOperator} from './operator.js'
import {differences, scratch} from './trees.js'

const possible = sshdAvailable() && findVersitygw() !== undefined
const whereBothAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: sealed stores over SSH need sshd and versitygw')

const LABEL = 'label-of-nobodys-business'
const NAMES = ['name-of-nobodys-business', 'folder-of-nobodys-business']
const LIMIT_MS = 180_000

/** Every byte below a directory. */
async function everything(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, {recursive: true, withFileTypes: true})
  const files = entries.filter((entry) => entry.isFile())
  return Buffer.concat(
    await Promise.all(files.map(({name, parentPath}) => readFile(join(parentPath, name)))),
  )
}

whereBothAre('two boxes over SSH and a store that speaks S3', () => {
  let boxes: Sshd[]
  let server: Versitygw
  let operator: Operator
  let folder: string
  let workspace: string
  let content: Buffer
  let remove: () => Promise<void>

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    boxes = [
      await startSshd({env: {HOME: sharedHome()}}),
      await startSshd({env: {HOME: sharedHome()}}),
    ]
    server = await startVersitygw()
    operator = await startOperator(...boxes)
    workspace = join(folder, 'workspace')
    await mkdir(join(workspace, NAMES[1] ?? ''), {recursive: true})
    // Random bytes lie in packs as they are, where nothing hides them.
    content = randomBytes(200_000)
    await writeFile(join(workspace, NAMES[0] ?? ''), content)
    await writeFile(join(workspace, NAMES[1] ?? '', 'text'), 'the same line\n'.repeat(20_000))
  })
  afterAll(async () => {
    await server?.close()
    for (const box of boxes ?? []) await box.close()
    await operator?.remove()
    await remove?.()
  })

  const surroundings = () => ({env: credentials(server), home: operator.home})
  const store = (prefix: string) => [
    ...['--store', `s3://${server.bucket}/${prefix}`],
    ...['--endpoint', server.endpoint],
  ]
  const on = (box: number) => {
    const sshd = boxes[box]
    return sshd ? ['--host', operator.host(sshd)] : []
  }
  const snapshot = (...argv: string[]) => answered(['snapshot', ...argv], surroundings())
  const traces = (bytes: Buffer) => {
    const searched = [...NAMES, LABEL, content.subarray(1000, 1032)]
    const found = searched.filter((one) => bytes.includes(one))
    const digest = createHash('sha256').update(content).digest()
    return [...found, ...[digest, digest.toString('hex')].filter((one) => bytes.includes(one))]
  }

  test(
    'save, save again, show, verify, restore elsewhere, and delete in a sealed store',
    async () => {
      const where = store('sealed')
      const recovery = join(operator.home, 'recovery')
      const first = await snapshot(
        ...['create', ...on(0), ...where, '--name', LABEL, '--recovery-file', recovery, workspace],
      )
      expect(first).toMatchObject({code: 0, files: 2})
      await writeFile(join(workspace, 'third'), 'new')
      const second = await snapshot('create', ...on(0), ...where, '--name', LABEL, workspace)
      expect(second).toMatchObject({code: 0, files: 3, newBytes: 3})

      const listed = await dumont(['snapshot', 'list', ...where], surroundings())
      expect(listed.stdout).toContain(LABEL)
      const shown = await dumont(
        ['snapshot', 'show', second.id, '--largest', '2', ...where],
        surroundings(),
      )
      expect(shown.stdout).toContain(NAMES[0])
      for (const level of ['listed', 'stored', 'decoded'])
        expect(await snapshot('verify', second.id, '--level', level, ...where)).toMatchObject({
          code: 0,
          damaged: [],
        })

      const target = join(folder, 'sealed-restored')
      expect(
        await snapshot('restore', 'latest', ...on(1), ...where, '--target', target),
      ).toMatchObject({code: 0})
      expect(await differences(workspace, target)).toEqual([])

      const bytes = await everything(join(server.root, 'sealed'))
      expect(bytes.length).toBeGreaterThan(200_000)
      expect(traces(bytes)).toEqual([])
      expect(await snapshot('delete', first.id, '--yes', ...where)).toMatchObject({code: 0})
      expect(
        await dumont(['snapshot', 'prune', '--keep-last', '1', '--yes', ...where], surroundings()),
      ).toMatchObject({code: 0})
      expect(await snapshot('verify', 'latest', ...where)).toMatchObject({code: 0, damaged: []})
    },
    LIMIT_MS,
  )

  test('leave no key on a box, nor anywhere but in its owner’s files', async () => {
    const keys = join(operator.home, '.local/share/dumont/keys')
    const [file = ''] = await readdir(keys)
    const text = (await readFile(join(keys, file), 'utf8')).trim()
    const recovery = (await readFile(join(operator.home, 'recovery'), 'utf8')).trim()
    const box = await everything(join(sharedHome(), '.cache/dumont'))
    expect(box.length).toBeGreaterThan(100_000)
    const shelf = await everything(join(server.root, 'sealed'))
    const state = await everything(join(operator.home, '.local/state'))
    for (const secret of [text, recovery])
      for (const where of [box, shelf, state]) expect(where.includes(secret)).toBe(false)
  })

  test(
    'let nobody in who has no key, or another’s',
    async () => {
      const where = store('sealed')
      const stranger = await startOperator(...boxes)
      const as = (...argv: string[]) =>
        dumont(['snapshot', ...argv, ...where], {env: credentials(server), home: stranger.home})
      const shut = {code: 77, stderr: expect.stringMatching(/key/) as unknown}
      for (const argv of [
        ['list'],
        ['show', 'latest'],
        ['verify', 'latest'],
        ['delete', 'latest', '--yes'],
        ['prune', '--keep-last', '1', '--yes'],
        ['create', ...on(0), workspace],
        ['restore', 'latest', ...on(0), '--target', join(folder, 'never')],
      ])
        expect(await as(...argv)).toMatchObject(shut)
      const keys = join(operator.home, '.local/share/dumont/keys')
      const [file = ''] = await readdir(keys)
      const copied = join(stranger.home, 'copied.key')
      await cp(join(keys, file), copied)
      expect(await as('list', '--key-file', copied)).toMatchObject({code: 0})
      expect(await as('list', '--key-file', join(operator.home, 'recovery'))).toMatchObject({
        code: 0,
      })
      const text = (await readFile(copied, 'utf8')).trim()
      const wrong = text.endsWith('a') ? `${text.slice(0, -1)}b` : `${text.slice(0, -1)}a`
      await writeFile(copied, wrong)
      expect(await as('list', '--key-file', copied)).toMatchObject(shut)
      await stranger.remove()
    },
    LIMIT_MS,
  )

  test(
    'hide nothing in an authenticated store, and take nothing there that others wrote',
    async () => {
      const where = store('authenticated')
      const flags = [...on(0), ...where, '--name', LABEL, '--no-encryption']
      const {code, id} = await snapshot('create', ...flags, workspace)
      expect(code).toBe(0)
      expect(
        await snapshot('create', ...on(0), ...where, '--name', LABEL, workspace),
      ).toMatchObject({code: 0, newBytes: 0})
      const target = join(folder, 'authenticated-restored')
      const restored = await snapshot('restore', id, ...on(1), ...where, '--target', target)
      expect(restored).toMatchObject({code: 0})
      expect(await differences(workspace, target)).toEqual([])
      expect(await snapshot('verify', id, '--level', 'decoded', ...where)).toMatchObject({
        code: 0,
        damaged: [],
      })
      // The search finds what is to be found, so what it did not find elsewhere is not there.
      const bytes = await everything(join(server.root, 'authenticated'))
      expect(traces(bytes)).toContain(LABEL)
      expect(bytes.includes(content.subarray(1000, 1032))).toBe(true)

      const path = join(server.root, 'authenticated/snapshots', `${id}.json`)
      const forged = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
      delete forged['mac']
      await writeFile(path, JSON.stringify({...forged, label: 'forged'}))
      const listed = await dumont(['snapshot', 'list', ...where], surroundings())
      expect(listed.stdout + listed.stderr).toContain(id)
      expect(listed.stdout).not.toContain('forged')
      expect(await snapshot('restore', id, ...on(1), ...where, '--target', target)).toMatchObject({
        code: 65,
        error: {code: 'INTEGRITY'},
      })
    },
    LIMIT_MS,
  )
})

describe('whoever can write to a sealed store', () => {
  let folder: string
  let good: string
  let home: string
  let id: string
  let older: string
  let remove: () => Promise<void>
  let workspace: string

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    home = sharedHome()
    good = join(folder, 'good')
    workspace = join(folder, 'workspace')
    await mkdir(workspace)
    await writeFile(join(workspace, 'one'), randomBytes(100_000))
    older = (await create()).id
    await writeFile(join(workspace, 'two'), randomBytes(100_000))
    id = (await create()).id
  }, LIMIT_MS)
  afterAll(() => remove?.())
  beforeEach(async () => {
    await rm(place(), {force: true, recursive: true})
    await cp(good, join(folder, 'kept'), {recursive: true})
    await rename(good, place())
    await rename(join(folder, 'kept'), good)
  })

  const place = () => join(folder, 'store')
  const create = async () => {
    const where = ['--host', 'local', '--store', pathToFileURL(good).href, '--name', 'x']
    return answered(['snapshot', 'create', ...where, workspace], {home})
  }
  // The key is this machine's; where the store lies is not remembered as another.
  const run = (...argv: string[]) =>
    dumont(['snapshot', ...argv, '--store', pathToFileURL(place()).href], {home})
  const target = () => join(folder, 'restored')
  const restore = () =>
    run('restore', id, '--host', 'local', '--target', target(), '--overwrite', 'always')
  const flip = async (key: string, at: number) => {
    const bytes = await readFile(join(place(), key))
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    await writeFile(join(place(), key), bytes)
  }
  const cut = async (key: string) => {
    const bytes = await readFile(join(place(), key))
    await writeFile(join(place(), key), bytes.subarray(0, -7))
  }
  const exchange = async (one: string, other: string) => {
    const [first, second] = await Promise.all(
      [one, other].map((key) => readFile(join(place(), key))),
    )
    await writeFile(join(place(), one), second ?? '')
    await writeFile(join(place(), other), first ?? '')
  }
  const packOf = async (snapshot: string) => {
    const [name = ''] = await readdir(join(place(), 'packs', snapshot))
    return `packs/${snapshot}/${name}`
  }

  test.each<[string, () => Promise<void>]>([
    ['a changed list of packs', () => flip(`index/${id}/packs`, 150)],
    ['a changed header of a segment', () => flip(`index/${id}/0`, 40)],
    ['a shortened segment', () => cut(`index/${id}/0`)],
    ['a changed pack', async () => flip(await packOf(id), 300)],
    ['a shortened pack', async () => cut(await packOf(id))],
    ['lists that changed places', () => exchange(`index/${id}/packs`, `index/${older}/packs`)],
    ['segments that changed places', () => exchange(`index/${id}/0`, `index/${older}/0`)],
    ['packs that changed places', async () => exchange(await packOf(id), await packOf(older))],
  ])('passes nobody %s', async (_what, damage) => {
    await damage()
    expect(await run('verify', id, '--level', 'decoded')).toMatchObject({code: 65})
    expect(await restore()).toMatchObject({code: 65})
  })

  test.each<[string, () => Promise<void>]>([
    ['a changed manifest', () => flip(`snapshots/${id}.json`, 400)],
    ['a shortened manifest', () => cut(`snapshots/${id}.json`)],
    [
      'manifests that changed places',
      () => exchange(`snapshots/${id}.json`, `snapshots/${older}.json`),
    ],
    [
      'a manifest that is not sealed',
      async () => writeFile(join(place(), `snapshots/${id}.json`), `{"format":1,"id":"${id}"}`),
    ],
    [
      'a manifest of another store',
      () =>
        cp(
          'test/fixtures/format-1-sealed/store/snapshots/20261123T140200Z-golden.json',
          join(place(), `snapshots/${id}.json`),
        ),
    ],
  ])('passes nobody %s', async (_what, damage) => {
    await damage()
    const listed = await run('list')
    expect(listed.stdout + listed.stderr).toMatch(
      new RegExp(`${id}[^]*(?:INTEGRITY|unreadable|damaged|sealed)`),
    )
    for (const argv of [
      ['show', id],
      ['verify', id],
    ])
      expect(await run(...argv)).toMatchObject({code: 65})
    expect(await restore()).toMatchObject({code: 65})
  })

  test('turns no store into one that is not sealed', async () => {
    const path = join(place(), 'dumont.json')
    // Seen once as it is.
    expect(await run('list')).toMatchObject({code: 0})
    const {protection: _, ...plain} = JSON.parse(await readFile(path, 'utf8')) as {
      protection: string
    }
    await writeFile(path, JSON.stringify(plain))
    expect(await run('list')).toMatchObject({code: 65})
    const other = await scratch()
    const stranger = {home: other.path}
    const url = pathToFileURL(place()).href
    const listed = await dumont(['snapshot', 'list', '--store', url], stranger)
    expect(listed.stdout).not.toContain('x  ')
    const argv = ['snapshot', 'show', id, '--store', url]
    expect(await dumont(argv, stranger)).toMatchObject({code: 65})
    await other.remove()
  })

  test('gets no key with a snapshot of the machine that keeps it', async () => {
    const mine = join(folder, 'mine')
    await mkdir(join(mine, 'work'), {recursive: true})
    await writeFile(join(mine, 'work/file'), 'content')
    const url = pathToFileURL(join(folder, 'own')).href
    const at = {env: {XDG_DATA_HOME: join(mine, 'share')}, home}
    const where = ['--host', 'local', '--store', url]
    const recovery = join(mine, 'recovery')
    const argv = ['snapshot', 'create', ...where, '--recovery-file', recovery, mine]
    expect(await answered(argv, at)).toMatchObject({code: 0, files: 1})
    const back = join(folder, 'mine-restored')
    await answered(['snapshot', 'restore', 'latest', ...where, '--target', back], at)
    expect((await readdir(back)).toSorted()).toEqual(['share', 'work'])
    expect((await everything(back)).toString()).not.toContain('dumont-key')
  })
})
