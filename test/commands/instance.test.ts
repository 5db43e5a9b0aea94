import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import type {Command} from '@oclif/core'
import InstanceHibernate from '../../src/commands/instance/hibernate.js'
import InstanceList from '../../src/commands/instance/list.js'
import InstanceWake from '../../src/commands/instance/wake.js'
import SnapshotDelete from '../../src/commands/snapshot/delete.js'
import {run} from '../support/run.js'
import {type FakeVast, startFakeVast} from '../support/vast/fake-vast.js'

const VARIABLES = ['HOME', 'XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'VAST_URL', 'VAST_API_KEY']
const before = VARIABLES.map((name) => [name, process.env[name]] as const)

let home: string
let fake: FakeVast
let store: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'dumont-instance-'))
  await mkdir(join(home, '.ssh'))
  fake = await startFakeVast()
  store = pathToFileURL(join(home, 'store')).href
  for (const name of VARIABLES) delete process.env[name]
  Object.assign(process.env, {HOME: home, VAST_API_KEY: fake.key, VAST_URL: fake.url})
})
afterEach(async () => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  process.exitCode = 0
  await fake.close()
  await rm(home, {recursive: true})
})

type Runnable = typeof Command & (new (...argv: never[]) => Command)

const answer = async (command: unknown, ...argv: string[]) => {
  const {stdout} = await run(command as Runnable, '--json', '--store', store, ...argv)
  return JSON.parse(stdout) as {
    readonly error?: {readonly code: string; readonly message: string; readonly hint?: string}
    readonly instances?: readonly object[]
    readonly failures?: readonly string[]
  }
}
const refusal = async (command: unknown, ...argv: string[]) =>
  (await answer(command, ...argv)).error

describe('instance hibernate refuses before it asks anybody', () => {
  test.each([
    ['what is no instance', ['train-a'], 'train-a is no instance'],
    ['a share above one', ['1', '--sample', '200%'], '--sample 200% is no share'],
    ['a number without a unit', ['1', '--max-wait', '5'], '--max-wait 5 is no duration'],
    ['a path that begins nowhere', ['1', '--path', 'data'], '--path data is not absolute'],
    ['to give up what begins nowhere', ['1', '--discard', '~/x'], '--discard ~/x is not absolute'],
    ['what only a GPU brings back', ['1', '--codec', 'ans'], '--codec ans needs an NVIDIA GPU'],
    ['two ends', ['1', '--destroy', '--stop', '--yes'], '--stop=true cannot also be provided'],
    ['two ways to be still', ['1', '--freeze', '--stop-processes'], 'cannot also be provided'],
    ['an end that nobody can agree to', ['1', '--destroy'], 'this needs a yes'],
    ['a stop that nobody can agree to', ['1', '--stop'], 'this needs a yes'],
  ])('%s', async (_what, argv, message) => {
    const error = await refusal(InstanceHibernate, ...argv)
    expect(error).toMatchObject({code: 'USAGE', message: expect.stringContaining(message)})
    expect(fake.requests).toHaveLength(0)
  })

  test('a directory that was not named as the only copy', async () => {
    const {stdout} = await run(InstanceHibernate as never, '--json', '1', '--destroy', '--yes')
    expect(stdout).toContain('name it on this command with --store')
    expect(fake.requests).toHaveLength(0)
  })

  test('a vendor without a key', async () => {
    const error = await refusal(InstanceHibernate, 'runpod:abcd')
    expect(error).toMatchObject({code: 'CONFIG', hint: expect.stringContaining('RUNPOD_API_KEY')})
  })
})

test('instance hibernate says that the account has no such instance', async () => {
  const error = await refusal(InstanceHibernate, '12345', '--destroy', '--yes')
  expect(error).toMatchObject({code: 'USAGE', message: 'this account has no instance 12345'})
  expect(fake.requestsTo('destroy')).toHaveLength(0)
})

describe('instance wake refuses before anything is rented', () => {
  beforeEach(() => writeFile(join(home, '.ssh/id_ed25519.pub'), KEY))

  test.each([
    ['a bid without spot', ['1', '--bid', '0.2'], '--spot'],
    ['spot without a bid', ['1', '--spot'], '--bid'],
    ['an amount that is none', ['1', '--max-price', 'cheap'], '--max-price cheap is no amount'],
    ['overwriting where nothing is restored onto', ['1', '--overwrite'], '--host'],
    ['no machine at all', ['1', '--count', '0'], 'count'],
    ['an unknown snapshot', ['latest:none'], 'never used'],
  ])('%s', async (_what, argv, message) => {
    const error = await refusal(InstanceWake, ...argv)
    expect(error?.message).toContain(message)
    expect(fake.requestsTo('create')).toHaveLength(0)
  })

  test('a line of the values that is none, without showing it', async () => {
    await writeFile(join(home, 'values'), 'hf_secret')
    const error = await refusal(InstanceWake, '1', '--env-file', join(home, 'values'))
    expect(error?.message).toContain('line 1')
    expect(JSON.stringify(error)).not.toContain('hf_secret')
  })

  test('a name of a GPU or region is not taken for a setting of the store', async () => {
    const error = await refusal(InstanceWake, '1', '--gpu', 'RTX 4090', '--region', 'Texas, US')
    expect(error?.message).toContain('never used')
  })

  test('without any key that the machine could let in', async () => {
    await rm(join(home, '.ssh/id_ed25519.pub'))
    const error = await refusal(InstanceWake, '1')
    expect(error).toMatchObject({code: 'USAGE', hint: expect.stringContaining('ssh-keygen')})
  })
})

describe('instance list', () => {
  test('shows what runs, and that nothing of it is protected', async () => {
    const {id} = await fake.rent({label: 'train-a'})
    const {instances} = await answer(InstanceList)
    expect(instances).toMatchObject([
      {
        gpu: 'RTX 4090',
        id: String(id),
        provider: 'vast',
        state: 'running',
        unprotected: 'everything',
      },
    ])
  })

  test('goes on without a vendor that does not answer, says so, and ends with 3', async () => {
    process.env['VAST_API_KEY'] = 'wrong'
    const {failures, instances} = await answer(InstanceList)
    expect(instances).toEqual([])
    expect(failures).toHaveLength(1)
    expect(process.exitCode).toBe(3)
  })

  test('needs no vendor', async () => {
    delete process.env['VAST_API_KEY']
    expect(await answer(InstanceList)).toMatchObject({failures: [], instances: []})
  })

  test('tells nobody the key', async () => {
    await fake.rent()
    const {stderr, stdout} = await run(InstanceList as never, '--store', store)
    for (const secret of fake.secrets) expect(`${stdout}${stderr}`).not.toContain(secret)
    expect(fake.violations).toEqual([])
  })
})

test('snapshot delete has a way to give up what is held', () => {
  expect(Object.keys(SnapshotDelete.flags)).toContain('release-hold')
})

const KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXcy2DwVDyZJHqxyD9Qn3OOvxTHfnIJPfmTyhoQHgsL someone@somewhere'
