import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import Init from '../../src/commands/init.js'
import KeyAdd from '../../src/commands/key/add.js'
import KeyExport from '../../src/commands/key/export.js'
import KeyImport from '../../src/commands/key/import.js'
import KeyList from '../../src/commands/key/list.js'
import KeyRemove from '../../src/commands/key/remove.js'
import KeyRotate from '../../src/commands/key/rotate.js'
import InstanceWake from '../../src/commands/instance/wake.js'
import SnapshotDelete from '../../src/commands/snapshot/delete.js'
import SnapshotList from '../../src/commands/snapshot/list.js'
import SnapshotPrune from '../../src/commands/snapshot/prune.js'
import SnapshotRepair from '../../src/commands/snapshot/repair.js'
import SnapshotTranscode from '../../src/commands/snapshot/transcode.js'
import {run} from '../support/run.js'

const VARIABLES = [
  'HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_STATE_HOME',
  'DUMONT_ENCRYPTION',
  'DUMONT_KEY',
  'DUMONT_KEY_FILE',
  'DUMONT_PASSPHRASE',
  'DUMONT_PASSPHRASE_FILE',
  'DUMONT_STORE',
]
const before = VARIABLES.map((name) => [name, process.env[name]] as const)

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dumont-key-'))
  for (const name of VARIABLES) delete process.env[name]
  process.env['DUMONT_STORE'] = `file://${folder}/store`
  atMachine('laptop')
})
afterEach(async () => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  process.exitCode = 0
  await rm(folder, {recursive: true})
})

function atMachine(name: string): void {
  process.env['HOME'] = path.join(folder, name)
}

interface Answer {
  readonly error?: {readonly code: string; readonly message: string; readonly hint?: string}
  readonly slots?: readonly {
    readonly slot: string
    readonly kind: string
    readonly openedBy?: string
  }[]
  readonly slot?: string
  readonly file?: string
  readonly removed?: readonly string[]
}

async function typed(command: Parameters<typeof run>[0], ...argv: string[]): Promise<Answer> {
  process.exitCode = 0
  const {stdout} = await run(command, '--json', ...argv)
  expect(stdout).not.toMatch(/dumont-key-[a-z2-7]{7}/)
  return JSON.parse(stdout) as Answer
}

const inFolder = (name: string) => path.join(folder, name)
const begin = () =>
  typed(Init, '--yes', '--store', `file://${folder}/store`, '--recovery-file', inFolder('recovery'))
const slotsOf = async () => (await typed(KeyList)).slots ?? []

describe('dumont key', () => {
  test('lists what opens the store, and which of it is here', async () => {
    await begin()
    const slots = await slotsOf()
    expect(slots.map(({kind}) => kind).toSorted()).toEqual(['file', 'recovery'])
    expect(slots.filter(({openedBy}) => openedBy !== undefined)).toEqual([
      expect.objectContaining({kind: 'file', openedBy: expect.stringContaining('/laptop/')}),
    ])
    const {stdout} = await run(KeyList)
    expect(stdout).toMatch(/^SLOT +KIND +CREATED +LABEL +OPENED HERE BY$/m)
  })

  test('says where there are no keys', async () => {
    expect((await typed(KeyList)).error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('holds nothing yet'),
    })
  })

  test('shuts another machine out until it has imported a key', async () => {
    await begin()
    atMachine('desktop')
    expect((await typed(SnapshotList)).error).toMatchObject({
      code: 'KEY',
      hint: expect.stringContaining('dumont key import'),
    })
    expect(process.exitCode).toBe(77)
    const {file} = await typed(KeyImport, '--key-file', inFolder('recovery'), '--label', 'desktop')
    expect((await stat(file ?? '')).mode & 0o777).toBe(0o600)
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
  })

  test('takes a passphrase from a file, and then from the environment', async () => {
    await begin()
    await writeFile(inFolder('words'), 'correct horse\n', {mode: 0o600})
    await typed(KeyAdd, '--passphrase-from', inFolder('words'), '--label', 'team')
    atMachine('desktop')
    process.env['DUMONT_PASSPHRASE'] = 'correct house'
    expect((await typed(SnapshotList)).error?.message).toContain('DUMONT_PASSPHRASE: no key to')
    process.env['DUMONT_PASSPHRASE'] = 'correct horse'
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
  })

  test('takes the key file the environment names, and no other when it is not there', async () => {
    await begin()
    await typed(KeyAdd, '--file', inFolder('ci.key'))
    atMachine('ci')
    process.env['DUMONT_KEY_FILE'] = inFolder('ci.key')
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
    process.env['DUMONT_KEY_FILE'] = inFolder('none.key')
    expect((await typed(SnapshotList)).error).toMatchObject({code: 'KEY'})
  })

  test('exports into a new file only', async () => {
    await begin()
    expect((await typed(KeyExport)).error?.code).toBe('USAGE')
    await typed(KeyExport, '--to', inFolder('copy.key'))
    process.env['DUMONT_KEY'] = await readFile(inFolder('copy.key'), 'utf8')
    atMachine('desktop')
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
    atMachine('laptop')
    expect((await typed(KeyExport, '--to', inFolder('copy.key'))).error?.code).toBe(
      'TARGET_UNWRITABLE',
    )
  })

  test('removes a slot after a yes, and never the last', async () => {
    await begin()
    const slots = await slotsOf()
    const recovery = slots.find(({kind}) => kind === 'recovery')?.slot ?? ''
    const file = slots.find(({kind}) => kind === 'file')?.slot ?? ''
    expect((await typed(KeyRemove, recovery)).error?.code).toBe('USAGE')
    expect(await typed(KeyRemove, recovery.slice(0, 6), '--yes')).toEqual({removed: [recovery]})
    expect((await typed(KeyRemove, file, '--yes')).error?.message).toContain('is the last')
    expect(await readdir(inFolder('store/keys'))).toEqual([`${file}.json`])
  })

  test('rotates, with a new recovery text in a new file', async () => {
    await begin()
    const old = await slotsOf()
    expect((await typed(KeyRotate, '--yes')).error).toMatchObject({
      hint: expect.stringContaining('--recovery-file'),
    })
    const {removed} = await typed(KeyRotate, '--yes', '--recovery-file', inFolder('second'))
    expect(removed?.toSorted()).toEqual(old.map(({slot}) => slot).toSorted())
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
    atMachine('desktop')
    expect((await typed(KeyImport, '--key-file', inFolder('recovery'))).error?.code).toBe('KEY')
    expect((await typed(KeyImport, '--key-file', inFolder('second'))).error).toBeUndefined()
  })

  test.each([
    [[]],
    [['--recovery', '--passphrase']],
    [['--recovery']],
    [['--passphrase']],
    [['--file', '/x', '--recovery-file', '/y']],
    [['--file', '/x', '--label', 'x'.repeat(101)]],
    [['--passphrase-from', '/none']],
  ])('adds nothing after %j', async (argv) => {
    await begin()
    expect((await typed(KeyAdd, ...argv)).error?.code).toMatch(/^(?:USAGE|KEY)$/)
    expect(await readdir(inFolder('store/keys'))).toHaveLength(2)
  })
})

const PUBLIC_KEY = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64')

describe('without a key', () => {
  // Nobody listens there, and no vendor is set up: whoever goes there first fails otherwise.
  const box = ['--host', 'root@127.0.0.1:1']
  const writers: readonly (readonly [string, Parameters<typeof run>[0], readonly string[]])[] = [
    ['snapshot repair', SnapshotRepair, ['latest', ...box]],
    ['snapshot transcode', SnapshotTranscode, ['latest', ...box]],
    ['snapshot delete', SnapshotDelete, ['latest', '--yes']],
    ['snapshot prune', SnapshotPrune, ['--keep-last', '1', '--yes']],
    ['instance wake', InstanceWake, ['12345', '--yes']],
    ['instance wake --host', InstanceWake, ['20261123T1402', ...box, '--yes']],
  ]

  test.each(writers)('%s refuses before it touches anything', async (_name, command, argv) => {
    await mkdir(inFolder('desktop/.ssh'), {recursive: true})
    await writeFile(inFolder('desktop/.ssh/id_ed25519.pub'), `ssh-ed25519 ${PUBLIC_KEY} me\n`)
    for (const isSealed of [true, false]) {
      process.env['DUMONT_STORE'] = `file://${folder}/sealed-${isSealed}`
      process.env['DUMONT_ENCRYPTION'] = String(isSealed)
      atMachine('laptop')
      await typed(Init, '--yes', '--store', process.env['DUMONT_STORE'])
      atMachine('desktop')
      expect((await typed(command, ...argv)).error).toMatchObject({
        code: 'KEY',
        hint: expect.stringContaining('dumont key import'),
      })
      expect(process.exitCode).toBe(77)
    }
    // The last one can be read.
    expect(await typed(SnapshotList)).toMatchObject({snapshots: []})
  })
})
