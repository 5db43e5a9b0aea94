import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import Init from '../../src/commands/init.js'
import {loadSettings} from '../../src/lib/settings/load-settings.js'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {run} from '../support/run.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'

const VARIABLES = [
  'HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'DUMONT_SECRET_ACCESS_KEY',
  'DUMONT_STORE',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
]
const ALONE = 'only this machine can open the store: run dumont key add --recovery'
const before = VARIABLES.map((name) => [name, process.env[name]] as const)

let home: string
let config: string

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'dumont-init-'))
  config = path.join(home, '.config/dumont/config.json')
  for (const name of VARIABLES) delete process.env[name]
  process.env['HOME'] = home
})
afterEach(async () => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  process.exitCode = 0
  await rm(home, {recursive: true})
})

const content = async () => JSON.parse(await readFile(config, 'utf8')) as unknown
const init = async (...argv: string[]) => {
  const {stdout, error} = await run(Init, '--json', ...argv)
  const answer = JSON.parse(stdout) as {
    error?: {code: string; message: string; hint?: string}
  } & Record<string, unknown>
  return {answer, error, exit: process.exitCode}
}

describe('dumont init with a directory', () => {
  test('tries it and writes the configuration', async () => {
    const {answer} = await init('--yes', '--store', `file://${home}/store`)
    expect(answer).toMatchObject({
      store: `file://${home}/store`,
      isNew: true,
      pin: 'crc32',
      config,
      protection: 'sealed',
      notes: [ALONE],
    })
    expect(await content()).toEqual({store: `file://${home}/store`})
    expect((await stat(config)).mode & 0o777).toBe(0o600)
    const repository = JSON.parse(await readFile(path.join(home, 'store/dumont.json'), 'utf8')) as {
      id: string
    }
    expect(answer['repository']).toBe(repository.id)
  })

  test('says in text what it found and what comes next', async () => {
    const {stdout} = await run(
      Init,
      '--yes',
      '--store',
      `file://${home}/store`,
      '--profile',
      'mine',
    )
    expect(stdout).toMatch(/^write-once +yes$/m)
    expect(stdout).toMatch(/^upload pins +CRC-32$/m)
    expect(stdout).toMatch(/^next +dumont snapshot create .* --profile mine$/m)
  })

  test('takes the standard one when nothing is said', async () => {
    await init('--yes')
    expect(await content()).toEqual({store: `file://${home}/.local/share/dumont/store`})
  })

  test('finds a store that is there already', async () => {
    const {answer: first} = await init('--yes', '--store', `file://${home}/store`)
    const {answer: second} = await init('--yes', '--store', `file://${home}/store`)
    expect(second).toMatchObject({repository: first['repository'], isNew: false})
  })

  test('says that a variable is louder than the file', async () => {
    process.env['DUMONT_STORE'] = '/elsewhere'
    const {answer} = await init('--yes', '--store', `file://${home}/store`)
    expect(answer['notes']).toEqual([
      'DUMONT_STORE is set and wins over the configuration file',
      ALONE,
    ])
  })

  test('keeps its key for its owner alone, and the recovery text where it is told to', async () => {
    const file = path.join(home, 'recovery.txt')
    const store = ['--yes', '--store', `file://${home}/store`]
    const {answer} = await init(...store, '--recovery-file', file)
    expect(answer['notes']).toEqual([])
    const key = path.join(home, `.local/share/dumont/keys/${String(answer['repository'])}.key`)
    for (const each of [file, key]) {
      expect((await stat(each)).mode & 0o777).toBe(0o600)
      expect(await readFile(each, 'utf8')).toMatch(/^dumont-key(?:-[a-z2-7]{7}){8}\n$/)
      expect(JSON.stringify(answer)).not.toContain((await readFile(each, 'utf8')).trim())
    }
    expect(await readdir(path.join(home, 'store/keys'))).toHaveLength(2)
    const again = await init(...store, '--recovery-file', path.join(home, 'second.txt'))
    expect(again.answer['notes']).toEqual([expect.stringContaining('has a recovery text already')])
  })

  test('makes a store that is not encrypted when told to, and leaves it so', async () => {
    const store = ['--yes', '--store', `file://${home}/store`]
    const {answer} = await init(...store, '--no-encryption')
    expect(answer).toMatchObject({isNew: true, protection: 'authenticated'})
    const again = await init(...store)
    expect(again.answer).toMatchObject({isNew: false, protection: 'authenticated'})
    const changed = await init(...store, '--encryption')
    expect(changed.answer.error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('only for new stores'),
    })
  })

  test('does not ask where nobody can answer', async () => {
    expect(await init()).toMatchObject({
      answer: {error: {code: 'USAGE', hint: expect.stringContaining('--store')}},
      exit: 2,
    })
  })

  test('leaves a profile as it is unless told to replace it, and other profiles always', async () => {
    await init('--yes', '--store', `file://${home}/one`)
    await init('--store', `file://${home}/work`, '--profile', 'work')
    expect(await init('--store', `file://${home}/two`)).toMatchObject({
      answer: {error: {code: 'USAGE'}},
      exit: 2,
    })
    expect(await init('--store', `file://${home}/two`, '--profile', 'work')).toMatchObject({
      exit: 2,
    })
    await init('--yes', '--store', `file://${home}/two`)
    expect(await content()).toEqual({
      store: `file://${home}/two`,
      profiles: {work: {store: `file://${home}/work`}},
    })
  })

  test('writes nothing after a refusal', async () => {
    await writeFile(path.join(home, 'taken'), '')
    expect(await init('--yes', '--store', `file://${home}/taken`)).toMatchObject({
      answer: {error: {code: 'CONFIG'}},
      exit: 78,
    })
    expect(await readdir(home)).toEqual(['taken'])
  })

  test('writes nothing over a store of a newer format', async () => {
    await mkdir(path.join(home, 'store'))
    await writeFile(path.join(home, 'store/dumont.json'), '{"format": 2}')
    expect(await init('--yes', '--store', `file://${home}/store`)).toMatchObject({
      answer: {error: {code: 'FORMAT_NEWER'}},
      exit: 65,
    })
    await expect(stat(config)).rejects.toThrow('ENOENT')
  })

  test.each([
    [['--store', 'ftp://x'], '--store'],
    [['--store', 's3://b', '--bucket', 'c'], '--bucket'],
    [['--prefix', 'p'], '--prefix'],
    [['--bucket', 'b', '--jurisdiction', 'eu'], '--jurisdiction'],
    [['--bucket', 'bucket', '--r2-account', 'x'], '--r2-account'],
    [['--bucket', 'bucket', '--endpoint', 'x'], '--endpoint'],
    [['--bucket', 'B B'], '--store'],
    [['--store', '/x', '--profile', 'a b'], '--profile'],
    [
      ['--bucket', 'bucket', '--r2-account', '0'.repeat(32), '--endpoint', 'https://x'],
      '--endpoint',
    ],
    [['--bucket', 'bucket', '--access-key-id', 'A'], 'secret'],
    [['--bucket', 'bucket', '--access-key-id', 'A', '--secret-access-key-file', '/none'], '/none'],
  ])('refuses %j as a matter of usage', async (argv, named) => {
    const {answer, exit} = await init('--yes', ...argv)
    expect(answer.error).toMatchObject({code: 'USAGE', message: expect.stringContaining(named)})
    expect(exit).toBe(2)
    expect(await readdir(home)).toEqual([])
  })

  test('has no flag for the secret itself', () => {
    expect(Object.keys(Init.flags)).not.toContain('secret-access-key')
  })
})

const binary = findVersitygw()
const withServer = binary ? describe : describe.skip

withServer('dumont init with a bucket', () => {
  let server: Versitygw
  let proxy: FaultyProxy
  beforeAll(async () => {
    server = await startVersitygw(binary)
    proxy = await startFaultyProxy(server.endpoint)
  })
  afterEach(() => proxy.clear())
  afterAll(async () => {
    await proxy.close()
    await server.close()
  })

  const place = (prefix: string, bucket = server.bucket) => [
    '--yes',
    '--endpoint',
    proxy.endpoint,
    '--bucket',
    bucket,
    '--prefix',
    prefix,
  ]
  const secretFile = async (secret: string) => {
    const file = path.join(home, 'secret')
    await writeFile(file, `${secret}\n`)
    return ['--access-key-id', server.accessKeyId, '--secret-access-key-file', file]
  }

  test('writes credentials that the next command finds', async () => {
    const {answer} = await init(...place('one'), ...(await secretFile(server.secretAccessKey)))
    expect(answer).toMatchObject({
      store: 's3://bucket/one',
      endpoint: proxy.endpoint,
      isNew: true,
      pin: 'crc32',
      skewSeconds: expect.any(Number),
    })
    const {store} = await loadSettings({flags: {}, env: {HOME: home}, cwd: home})
    expect(store).toMatchObject({
      bucket: 'bucket',
      prefix: 'one',
      credentials: {accessKeyId: 'test', secretAccessKey: 'versitygw-of-the-tests'},
    })
  })

  test('takes the secret from the environment', async () => {
    process.env['DUMONT_SECRET_ACCESS_KEY'] = server.secretAccessKey
    await init(...place('env'), '--access-key-id', server.accessKeyId)
    expect(await content()).toMatchObject({
      accessKeyId: 'test',
      secretAccessKey: 'versitygw-of-the-tests',
    })
  })

  test('writes no credentials that it was not given', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = server.accessKeyId
    process.env['AWS_SECRET_ACCESS_KEY'] = server.secretAccessKey
    const {answer} = await init(...place('ambient'))
    expect(answer['notes']).toEqual([expect.stringContaining('no credentials were written'), ALONE])
    expect(await content()).toEqual({store: 's3://bucket/ambient', endpoint: proxy.endpoint})
  })

  test('shows a wrong clock', async () => {
    proxy.inject({
      fault: {kind: 'skew', milliseconds: 120_000},
      times: 99,
    })
    const {answer} = await init(...place('skewed'), ...(await secretFile(server.secretAccessKey)))
    expect(answer['notes']).toEqual([expect.stringMatching(/clock is 1[12]\d s behind/), ALONE])
  })

  test.each([
    ['a wrong secret', {bucket: 'bucket', secret: 'not-the-secret'}, 'ACCESS_DENIED', 77],
    [
      'a missing bucket',
      {bucket: 'no-such-bucket', secret: 'versitygw-of-the-tests'},
      'BUCKET_MISSING',
      78,
    ],
  ])('writes nothing after %s', async (_, {bucket, secret}, code, exit) => {
    const result = await init(...place('refused', bucket), ...(await secretFile(secret)))
    expect(result).toMatchObject({answer: {error: {code, hint: expect.any(String)}}, exit})
    expect(JSON.stringify(result.answer)).not.toContain('not-the-secret')
    await expect(stat(config)).rejects.toThrow('ENOENT')
  })

  test('refuses a store that takes no signed uploads, and writes nothing', async () => {
    proxy.inject({fault: {kind: 'status', status: 403}, path: /X-Amz-Signature/, times: 99})
    const result = await init(...place('unsuitable'), ...(await secretFile(server.secretAccessKey)))
    expect(result).toMatchObject({answer: {error: {code: 'STORE_UNSUITABLE'}}, exit: 78})
    await expect(stat(config)).rejects.toThrow('ENOENT')
  })
})
