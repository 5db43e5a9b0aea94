import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {loadSettings} from '../../../src/lib/settings/load-settings.js'

const ACCOUNT = '0123456789abcdef0123456789abcdef'
const KEYS = {accessKeyId: 'AKID', secretAccessKey: 'very-secret'}

describe('settings', () => {
  let home: string
  let cwd: string

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'dumont-settings-'))
    cwd = path.join(home, 'project/deep')
    await mkdir(cwd, {recursive: true})
    await mkdir(path.join(home, '.config/dumont'), {recursive: true})
  })
  afterEach(() => rm(home, {recursive: true}))

  const load = (flags: Record<string, unknown> = {}, env: Record<string, string> = {}) =>
    loadSettings({flags, env, cwd, home})
  const write = async (name: string, content: unknown, mode = 0o600) => {
    const file = path.join(home, name)
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    await chmod(file, mode)
    return file
  }
  const userFile = (content: unknown, mode?: number) =>
    write('.config/dumont/config.json', content, mode)

  describe('by default', () => {
    test('keep snapshots in a directory of the user', async () => {
      expect((await load()).store).toEqual({
        kind: 'directory',
        path: path.join(home, '.local/share/dumont/store'),
      })
    })

    test('follow the XDG variables, but not relative ones', async () => {
      const {directories, store} = await load(
        {},
        {XDG_DATA_HOME: '/data', XDG_STATE_HOME: 'relative'},
      )
      expect(store).toEqual({kind: 'directory', path: '/data/dumont/store'})
      expect(directories).toEqual({
        config: path.join(home, '.config/dumont'),
        data: '/data/dumont',
        state: path.join(home, '.local/state/dumont'),
        cache: path.join(home, '.cache/dumont'),
      })
    })
  })

  describe('of one thing', () => {
    test('come from the flag, then the environment, then the nearest file, then the user’s file', async () => {
      await userFile({store: '/user'})
      expect((await load()).store).toMatchObject({path: '/user'})
      await write('project/.dumontrc.json', {store: '/project'})
      expect((await load()).store).toMatchObject({path: '/project'})
      expect((await load({}, {DUMONT_STORE: '/env'})).store).toMatchObject({path: '/env'})
      expect((await load({store: '/flag'}, {DUMONT_STORE: '/env'})).store).toMatchObject({
        path: '/flag',
      })
    })

    test('are joined from several files', async () => {
      await userFile({store: '/user', parts: 8})
      await write('project/.dumontrc.json', {parts: 4, exclude: ['*.tmp']})
      expect(await load()).toMatchObject({store: {path: '/user'}, parts: 4, exclude: ['*.tmp']})
    })

    test('are unset by an empty variable', async () => {
      expect((await load({}, {DUMONT_STORE: '', DUMONT_PARTS: ''})).parts).toBeUndefined()
    })

    test('are read as what they are', async () => {
      const env = {
        DUMONT_PARTS: '16',
        DUMONT_MEMORY: '1GiB',
        DUMONT_CODEC: 'zstd',
        DUMONT_EXCLUDE_CACHES: 'true',
      }
      expect(await load({}, env)).toMatchObject({
        parts: 16,
        memory: 2 ** 30,
        codec: 'zstd',
        excludeCaches: true,
      })
      expect(await load({parts: 8, memory: '512MiB', exclude: ['a', 'b']}, env)).toMatchObject({
        parts: 8,
        memory: 2 ** 29,
        exclude: ['a', 'b'],
      })
    })

    test('do not include flags that are none', async () => {
      await expect(load({host: 'local', yes: true, unknown: 1})).resolves.toBeDefined()
    })
  })

  describe('of the store', () => {
    test.each([
      ['file:///some/where', '/some/where'],
      ['/some/where/', '/some/where/'],
      ['file:///with%20space', '/with space'],
      ['/a/../b', '/b'],
    ])('may be a directory: %s', async (store, expected) => {
      expect((await load({store})).store).toEqual({kind: 'directory', path: expected})
    })

    test.each([
      ['s3://bucket', 'bucket', ''],
      ['s3://bucket/', 'bucket', ''],
      ['s3://my.bucket-1/a/b', 'my.bucket-1', 'a/b'],
      ['s3://bucket/a/', 'bucket', 'a'],
    ])('may be a bucket: %s', async (store, bucket, prefix) => {
      expect((await load({store})).store).toEqual({kind: 's3', bucket, prefix, region: 'us-east-1'})
    })

    test.each([
      'ftp://somewhere',
      'relative/path',
      '~/store',
      's3://',
      's3://B',
      's3://bucket/a//b',
      's3://bucket/../x',
      's3:bucket',
      'file://host/path',
      'file:///a%2Fb',
      '',
    ])('is never %j', async (store) => {
      await expect(load({store})).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringMatching(
          /^--store must be file:\/\/\/path, \/path or s3:\/\/bucket\/prefix, not /,
        ),
      })
    })

    test('has the endpoint and region of its R2 account, in its jurisdiction', async () => {
      await userFile({store: 's3://bucket/p', account: ACCOUNT})
      expect((await load()).store).toMatchObject({
        endpoint: `https://${ACCOUNT}.r2.cloudflarestorage.com`,
        region: 'auto',
      })
      await userFile({store: 's3://bucket/p', account: ACCOUNT, jurisdiction: 'eu'})
      expect((await load({}, {AWS_REGION: 'eu-west-1'})).store).toMatchObject({
        endpoint: `https://${ACCOUNT}.eu.r2.cloudflarestorage.com`,
        region: 'auto',
      })
    })

    test('takes endpoint and region from DUMONT’s names before AWS’s', async () => {
      const env = {
        DUMONT_STORE: 's3://bucket',
        AWS_ENDPOINT_URL: 'http://three',
        AWS_REGION: 'eu-central-1',
        AWS_DEFAULT_REGION: 'us-west-2',
      }
      expect((await load({}, env)).store).toMatchObject({
        endpoint: 'http://three',
        region: 'eu-central-1',
      })
      const more = {...env, AWS_ENDPOINT_URL_S3: 'http://two', DUMONT_REGION: 'ap-south-1'}
      expect((await load({}, more)).store).toMatchObject({
        endpoint: 'http://two',
        region: 'ap-south-1',
      })
      const all = {...more, DUMONT_ENDPOINT: 'http://one:9000'}
      expect((await load({}, all)).store).toMatchObject({endpoint: 'http://one:9000'})
      expect((await load({endpoint: 'https://zero/'}, all)).store).toMatchObject({
        endpoint: 'https://zero',
      })
    })

    test('has one place only', async () => {
      await userFile({store: 's3://bucket', account: ACCOUNT, endpoint: 'https://elsewhere'})
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('different places'),
      })
      expect((await load({endpoint: 'https://flag'})).store).toMatchObject({
        endpoint: 'https://flag',
      })
    })

    test('has no credentials where none are set: the SDK may find some', async () => {
      expect((await load({store: 's3://bucket'})).store).not.toHaveProperty('credentials')
    })

    test('has its credentials from one place, and says which', async () => {
      await userFile({store: 's3://bucket', ...KEYS, sessionToken: 'of-the-file'})
      expect((await load()).store).toMatchObject({
        credentials: {...KEYS, sessionToken: 'of-the-file'},
        credentialsFrom: expect.stringContaining('config.json'),
      })
      const env = {AWS_ACCESS_KEY_ID: 'E', AWS_SECRET_ACCESS_KEY: 'S'}
      const {store} = await load({}, env)
      expect(store).toMatchObject({credentialsFrom: 'AWS_SECRET_ACCESS_KEY'})
      expect(store).toHaveProperty('credentials', {accessKeyId: 'E', secretAccessKey: 'S'})
    })

    test('does not mix a session of AWS with keys meant for dumont', async () => {
      const env = {
        DUMONT_STORE: 's3://bucket',
        DUMONT_ACCESS_KEY_ID: 'D',
        DUMONT_SECRET_ACCESS_KEY: 'DS',
        AWS_ACCESS_KEY_ID: 'A',
        AWS_SECRET_ACCESS_KEY: 'AS',
        AWS_SESSION_TOKEN: 'AT',
      }
      expect((await load({}, env)).store).toHaveProperty('credentials', {
        accessKeyId: 'D',
        secretAccessKey: 'DS',
      })
    })

    test.each([
      [{AWS_ACCESS_KEY_ID: 'A'}, 'AWS_ACCESS_KEY_ID'],
      [{AWS_SECRET_ACCESS_KEY: 'hidden'}, 'AWS_SECRET_ACCESS_KEY'],
    ])('has no half credentials: %j', async (env, name) => {
      const failure = await load({store: 's3://bucket'}, env as Record<string, string>).catch(
        (error: unknown) => error,
      )
      expect(failure).toMatchObject({code: 'CONFIG', message: expect.stringContaining(name)})
      expect(String(failure)).not.toContain('hidden')
    })

    test('may be of a profile of the AWS files', async () => {
      await userFile({store: 's3://bucket', awsProfile: 'work'})
      expect((await load()).store).toMatchObject({awsProfile: 'work'})
    })
  })

  describe('of a profile', () => {
    const profiles = {
      work: {store: '/work', parts: 2},
      home: {store: 's3://home', account: ACCOUNT},
    }

    test('stand above those of the file, below flags and environment', async () => {
      await userFile({store: '/top', memory: '1GiB', profiles})
      expect(await load({profile: 'work'})).toMatchObject({
        profile: 'work',
        store: {path: '/work'},
        parts: 2,
        memory: 2 ** 30,
      })
      expect(await load({profile: 'work', store: '/flag'})).toMatchObject({
        store: {path: '/flag'},
        parts: 2,
      })
      expect(await load({}, {DUMONT_PROFILE: 'home'})).toMatchObject({
        store: {bucket: 'home', region: 'auto'},
      })
    })

    test('are used without asking when the file names its profile', async () => {
      await userFile({profile: 'work', profiles})
      expect((await load()).store).toMatchObject({path: '/work'})
      expect((await load({profile: 'home'})).store).toMatchObject({bucket: 'home'})
    })

    test('take the endpoint together with what decides it', async () => {
      await userFile({endpoint: 'https://elsewhere', profiles})
      expect((await load({profile: 'home'})).store).toMatchObject({
        endpoint: `https://${ACCOUNT}.r2.cloudflarestorage.com`,
      })
    })

    test.each([
      [{profile: 'wrok'}, {}, 'USAGE', 'did you mean work?'],
      [{profile: 'production'}, {}, 'USAGE', 'there are work, home'],
      [{}, {DUMONT_PROFILE: 'nope-nope'}, 'CONFIG', 'there are work, home'],
    ])('that is not there is named, with those that are: %j %j', async (flags, env, code, hint) => {
      await userFile({profiles})
      await expect(load(flags, env as Record<string, string>)).rejects.toMatchObject({code, hint})
    })
  })

  describe('that are wrong', () => {
    test.each([
      [{parity: 5}, /^--parity must be a whole number from 0 to 4, not 5$/],
      [{parts: 0}, /^--parts must be a whole number from 1 to 256, not 0$/],
      [{memory: 'lots'}, /^--memory must be a size/],
      [{memory: '1MiB'}, /^--memory must be a size of at least 64MiB/],
      [{codec: 'zip'}, /^--codec must be auto, ans, gzstd, zstd or none, not "zip"$/],
      [{endpoint: 'host:9000'}, /^--endpoint must be https:\/\/host/],
      [{endpoint: 'https://user:pw@host'}, /^--endpoint must be/],
      [{profile: '../x'}, /^--profile must be a name/],
    ])('in a flag are a matter of usage: %j', async (flags, message) => {
      await expect(load(flags)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringMatching(message),
      })
    })

    test.each([
      [{DUMONT_PARITY: '-1'}, /^DUMONT_PARITY must be a whole number/],
      [{DUMONT_PARTS: 'many'}, /^DUMONT_PARTS must be a whole number/],
      [{DUMONT_STORE: 'nonsense'}, /^DUMONT_STORE must be file:/],
      [{AWS_REGION: 'EU WEST'}, /^AWS_REGION must be a region/],
      [{AWS_ENDPOINT_URL_S3: 'x'}, /^AWS_ENDPOINT_URL_S3 must be/],
    ])('in the environment name the variable: %j', async (env, message) => {
      const failure = load({}, env)
      await expect(failure).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(message),
      })
    })

    test('in a file name file and key, even when something else overrides them', async () => {
      const file = await userFile({parts: 'many'})
      const message = `parts in ${file} must be a whole number from 1 to 256, not "many"`
      await expect(load({parts: 3})).rejects.toMatchObject({code: 'CONFIG', message})
    })

    test('in a profile name it', async () => {
      await userFile({profiles: {work: {codec: 7}}})
      const message = expect.stringMatching(/^codec in profile work in .*config\.json must be auto/)
      await expect(load({profile: 'work'})).rejects.toMatchObject({code: 'CONFIG', message})
    })

    test('never show a secret', async () => {
      await userFile({secretAccessKey: 'has space in it'})
      const failure = await load().catch((error: unknown) => error)
      expect(failure).toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('secretAccessKey'),
      })
      expect(String(failure)).not.toContain('has space')
    })

    test.each([
      [{stroe: '/x'}, 'did you mean store?'],
      [{profile: 'a', profils: {}}, 'did you mean profiles?'],
      [{accesskeyid: 'x'}, 'did you mean accessKeyId?'],
      [{colour: true}, /^settings are store, /],
    ])('by name are refused with a guess: %j', async (content, hint) => {
      await userFile(content)
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        hint: expect.stringMatching(hint),
      })
    })

    test('by name are refused in a profile too', async () => {
      await userFile({profiles: {work: {stroe: '/x'}}})
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('profile work'),
      })
    })
  })

  describe('in files', () => {
    test.each([
      ['.dumontrc', 'store: /found'],
      ['.dumontrc.json', '{"store": "/found"}'],
      ['.dumontrc.yaml', 'store: /found'],
      ['.dumontrc.yml', 'store: /found'],
      ['dumont.config.json', '{"store": "/found"}'],
      ['dumont.config.yaml', 'store: /found'],
      ['package.json', '{"name": "x", "dumont": {"store": "/found"}}'],
    ])('may be called %s, also above the working directory', async (name, content) => {
      await write(path.join('project', name), content)
      expect((await load()).store).toMatchObject({path: '/found'})
    })

    test('may be empty', async () => {
      await write('project/.dumontrc', '')
      expect((await load()).store).toMatchObject({kind: 'directory'})
    })

    test('are not looked for above the home directory', async () => {
      const inner = path.join(home, 'project')
      await write('.dumontrc.json', {store: '/above'})
      const settings = await loadSettings({flags: {}, env: {}, cwd, home: inner})
      expect(settings.store).not.toMatchObject({path: '/above'})
    })

    test.each(['js', 'cjs', 'mjs', 'ts'])('are not run: dumont.config.%s', async (ending) => {
      await write(
        `project/dumont.config.${ending}`,
        'globalThis.wasRun = true; export default {}; throw new Error()',
      )
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        hint: expect.stringContaining('JSON or YAML'),
      })
      expect(globalThis).not.toHaveProperty('wasRun')
    })

    test.each([
      ['{"store": ', /\.dumontrc\.json/],
      ['[1, 2]', /must be an object/],
      ['"text"', /must be an object/],
      ['{"profiles": []}', /profiles in .* must be an object/],
      ['{"profiles": {"a": 1}}', /profile a in .* must be an object/],
    ])('that are broken are named: %s', async (content, message) => {
      await write('project/.dumontrc.json', content)
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringMatching(message),
      })
    })

    test('that multiply themselves by references are refused without being written out', async () => {
      const lists = Array.from(
        {length: 30},
        (_, index) => `  - &l${index + 1} [${`*l${index},`.repeat(9)}]`,
      )
      await write('project/.dumontrc.yaml', `exclude:\n  - &l0 [x]\n${lists.join('\n')}\n`)
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('must be a list of patterns, not this list'),
      })
    })

    test.each([0o644, 0o640, 0o604])(
      'that hold credentials must be the owner’s alone, not %o',
      async (mode) => {
        const file = await userFile({store: 's3://b', ...KEYS}, mode)
        await expect(load()).rejects.toMatchObject({code: 'CONFIG', hint: `chmod 600 ${file}`})
      },
    )

    test('that hold credentials in a profile must be the owner’s alone', async () => {
      await userFile({profiles: {work: KEYS}}, 0o644)
      await expect(load()).rejects.toMatchObject({
        code: 'CONFIG',
        hint: expect.stringContaining('chmod 600'),
      })
    })

    test('without credentials may be read by anyone', async () => {
      await userFile({store: '/x'}, 0o644)
      expect((await load()).store).toMatchObject({path: '/x'})
    })
  })
})
