import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {loadSettings} from '../../../src/lib/settings/load-settings.js'

describe('settings of providers', () => {
  let home: string
  let cwd: string

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'dumont-providers-'))
    cwd = path.join(home, 'project')
    await mkdir(cwd)
  })
  afterEach(() => rm(home, {recursive: true}))

  const load = async (env: Record<string, string> = {}) =>
    (await loadSettings({flags: {}, env, cwd, home})).providers
  const write = async (name: string, content: unknown, mode = 0o600) => {
    const file = path.join(home, name)
    await mkdir(path.dirname(file), {recursive: true})
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    await chmod(file, mode)
    return file
  }
  const own = (content: unknown, mode?: number) =>
    write('.config/dumont/config.json', content, mode)

  describe('give the key', () => {
    test.each([
      ['vast', 'VAST_API_KEY'],
      ['runpod', 'RUNPOD_API_KEY'],
      ['lambda', 'LAMBDA_API_KEY'],
    ] as const)('of %s from %s', async (vendor, variable) => {
      const {access} = await load({[variable]: ' secret-key\n'})
      expect(await access(vendor)).toEqual({apiKey: 'secret-key', apiKeyFrom: variable})
    })

    test.each([
      ['vast', '.config/vastai/vast_api_key', 'k-vast\n'],
      ['vast', '.vast_api_key', '  k-vast  '],
      ['runpod', '.runpod/config.toml', "apiurl = 'x'\napikey = 'k-runpod'\n"],
      ['runpod', '.runpod/config.toml', '[default]\napi_key = "k-runpod"\n'],
      ['lambda', '.lambda_cloud/lambda_keys', 'api_key = k-lambda\n'],
    ] as const)('of %s from the vendor’s file %s', async (vendor, name, text) => {
      const file = await write(name, text)
      expect(await (await load()).access(vendor)).toEqual({
        apiKey: `k-${vendor}`,
        apiKeyFrom: file,
      })
    })

    test('from the environment, then dumont’s own file, then the vendor’s in their order', async () => {
      const vendors = await write('.vast_api_key', 'last')
      expect(await (await load()).access('vast')).toMatchObject({apiKeyFrom: vendors})
      await write('.config/vastai/vast_api_key', 'third')
      expect(await (await load()).access('vast')).toMatchObject({apiKey: 'third'})
      const file = await own({vastApiKey: 'second'})
      expect(await (await load()).access('vast')).toEqual({
        apiKey: 'second',
        apiKeyFrom: `vastApiKey in ${file}`,
      })
      expect(await (await load({VAST_API_KEY: 'first'})).access('vast')).toMatchObject({
        apiKey: 'first',
      })
    })

    test('from where the vendor’s own tool puts it when XDG says so', async () => {
      await write('elsewhere/vastai/vast_api_key', 'moved')
      const {access} = await load({XDG_CONFIG_HOME: path.join(home, 'elsewhere')})
      expect(await access('vast')).toMatchObject({apiKey: 'moved'})
    })

    test('or say where it could be', async () => {
      await expect((await load()).access('runpod')).rejects.toMatchObject({
        code: 'CONFIG',
        message: 'there is no key for RunPod',
        hint: expect.stringMatching(/RUNPOD_API_KEY.*runpodApiKey.*\.runpod\/config\.toml/),
      })
    })

    test('not from a file that holds none', async () => {
      await write('.lambda_cloud/lambda_keys', 'api_key = \n')
      await expect((await load()).access('lambda')).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(/lambda_keys holds no key for Lambda/),
      })
    })

    test.each([0o640, 0o604, 0o644, 0o620, 0o602])(
      'not from a vendor’s file of mode %o',
      async (mode) => {
        const file = await write('.vast_api_key', 'open-secret', mode)
        const error: unknown = await (
          await load()
        )
          .access('vast')
          .catch((reason: unknown) => reason)
        expect(error).toMatchObject({code: 'CONFIG', hint: `chmod 600 ${file}`})
        expect(String(error)).not.toContain('open-secret')
      },
    )

    test('without waiting for a named pipe', async () => {
      execFileSync('mkfifo', ['-m', '600', path.join(home, '.vast_api_key')])
      await expect((await load()).access('vast')).rejects.toMatchObject({code: 'CONFIG'})
    })

    test('not from a directory', async () => {
      await mkdir(path.join(home, '.vast_api_key'), {mode: 0o700})
      await expect((await load()).access('vast')).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('no file'),
      })
    })

    test('not from a file of dumont that others can read', async () => {
      await own({lambdaApiKey: 'open-secret'}, 0o644)
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        hint: expect.stringMatching(/chmod 600/),
      })
    })

    test('and never show one that is wrong', async () => {
      await expect(load({VAST_API_KEY: 'two words'})).rejects.toMatchObject({
        code: 'CONFIG',
        message: 'VAST_API_KEY must be an API key, not what it is',
      })
    })
  })

  describe('replace a vendor’s address', () => {
    const env = {VAST_API_KEY: 'k'}

    test.each(['https://mirror.example', 'http://127.0.0.1:8080', 'http://[::1]:1/v2'])(
      'by %s',
      async (base) => {
        const {access} = await load({...env, VAST_URL: base})
        expect((await access('vast')).base?.href).toBe(new URL(base).href)
      },
    )

    test.each([
      'http://vast.example',
      'nothing',
      'https://u:p@vast.example',
      'https://v.example/?a=1',
      'ftp://127.0.0.1',
    ])('but not by %s', async (base) => {
      const {access} = await load({...env, VAST_URL: base})
      await expect(access('vast')).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(/^VAST_URL must be https/),
      })
    })
  })

  describe('name machines', () => {
    const machine = {
      host: 'me@lab:2222',
      exists: 'check',
      start: 'up',
      stop: 'halt',
      destroy: 'end',
    }

    test('of the user’s own file, also in a profile', async () => {
      await own({instances: {lab: machine}, profiles: {other: {instances: {desk: {host: 'desk'}}}}})
      expect((await load()).instances).toEqual({lab: machine})
      expect((await load({DUMONT_PROFILE: 'other'})).instances).toEqual({desk: {host: 'desk'}})
    })

    test('and none without configuration', async () => {
      expect((await load()).instances).toEqual({})
    })

    test('never by a file of a project, because they are commands', async () => {
      await write('project/dumont.config.json', {instances: {lab: machine}})
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(/project\/dumont\.config\.json names commands/),
      })
    })

    test('never by a file that others can change or read', async () => {
      await own({instances: {lab: machine}}, 0o664)
      await expect(load()).rejects.toMatchObject({code: 'CONFIG'})
    })

    test.each([
      ['no host', {lab: {}}],
      ['a host that is an option', {lab: {host: '-oProxyCommand=x'}}],
      ['a word that is not known', {lab: {host: 'lab', remove: 'rm'}}],
      ['an empty command', {lab: {host: 'lab', start: ' '}}],
      ['destroy without exists', {lab: {host: 'lab', destroy: 'end'}}],
      ['stop without exists', {lab: {host: 'lab', stop: 'halt'}}],
      ['a name that is a path', {'../lab': {host: 'lab'}}],
    ])('not with %s', async (_, instances) => {
      await own({instances})
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(
          /instances in .* must be an object of machines by name.*not what it is/,
        ),
      })
    })
  })

  test('say whose instances bare ids are', async () => {
    expect((await load()).standard).toBeUndefined()
    await own({provider: 'lambda'})
    expect((await load()).standard).toBe('lambda')
    expect((await load({DUMONT_PROVIDER: 'runpod'})).standard).toBe('runpod')
    await expect(load({DUMONT_PROVIDER: 'aws'})).rejects.toMatchObject({
      message: 'DUMONT_PROVIDER must be vast, runpod, lambda or ssh, not "aws"',
    })
  })
})
