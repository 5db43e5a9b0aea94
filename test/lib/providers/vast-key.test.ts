import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {readKeyFile} from '../../../src/lib/providers/key-file.js'
import {vastBase} from '../../../src/lib/providers/vast-base.js'
import {findVastKey} from '../../../src/lib/providers/vast-key.js'

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'dumont-key-'))
  await mkdir(join(home, '.config/vastai'), {recursive: true})
  await mkdir(join(home, 'xdg/vastai'), {recursive: true})
})

afterEach(() => rm(home, {recursive: true}))

const find = (env: Record<string, string> = {}) => findVastKey({env, home, read: readKeyFile})

async function put(name: string, text: string, mode = 0o600): Promise<string> {
  const file = join(home, name)
  await writeFile(file, text)
  await chmod(file, mode)
  return file
}

describe('the key', () => {
  test('comes from the environment first', async () => {
    await put('.vast_api_key', 'key-from-home')
    await expect(find({VAST_API_KEY: ' key-from-env\n'})).resolves.toEqual({
      key: 'key-from-env',
      from: 'VAST_API_KEY',
    })
  })

  test('then from the configuration directory, then from home', async () => {
    const last = await put('.vast_api_key', 'key-from-home\n')
    await expect(find()).resolves.toEqual({key: 'key-from-home', from: last})
    const config = await put('.config/vastai/vast_api_key', 'key-from-config\n')
    await expect(find()).resolves.toEqual({key: 'key-from-config', from: config})
    const xdg = await put('xdg/vastai/vast_api_key', 'key-from-xdg\n')
    await expect(find({XDG_CONFIG_HOME: join(home, 'xdg')})).resolves.toEqual({
      key: 'key-from-xdg',
      from: xdg,
    })
    await expect(find({XDG_CONFIG_HOME: 'xdg'})).resolves.toMatchObject({from: config})
  })

  test('may be missing', async () => {
    await expect(find({VAST_API_KEY: '  '})).resolves.toBeUndefined()
  })

  test.each([0o640, 0o604, 0o644, 0o620, 0o602])(
    'in a file of mode %o is refused',
    async (mode) => {
      await put('.vast_api_key', 'key-from-home', mode)
      const error: unknown = await find().catch((reason: unknown) => reason)
      expect(error).toMatchObject({code: 'CONFIG', hint: expect.stringContaining('chmod 600')})
      expect(String(error)).not.toContain('key-from-home')
    },
  )

  test.each(['', 'two words', 'line\nline', 'kéy-kéy-kéy', 'short', 'x'.repeat(600)])(
    '%j is none, and is not repeated',
    async (text) => {
      await put('.vast_api_key', text)
      const error: unknown = await find().catch((reason: unknown) => reason)
      expect(error).toMatchObject({code: 'CONFIG'})
      if (text) expect(String(error)).not.toContain(text)
    },
  )

  test('behind a named pipe is not waited for', async () => {
    execFileSync('mkfifo', ['-m', '600', join(home, '.vast_api_key')])
    await expect(find()).rejects.toMatchObject({code: 'CONFIG'})
  })

  test('in a directory is an error', async () => {
    await mkdir(join(home, '.vast_api_key'), {mode: 0o700})
    await expect(find()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('no file'),
    })
  })
})

describe('the address', () => {
  test.each([
    [undefined, 'https://console.vast.ai/'],
    ['', 'https://console.vast.ai/'],
    ['https://vast.example.test/prefix/', 'https://vast.example.test/prefix/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['http://localhost:1', 'http://localhost:1/'],
    ['http://[::1]:1', 'http://[::1]:1/'],
  ])('%p is %s', (VAST_URL, address) => {
    expect(vastBase({VAST_URL}).href).toBe(address)
  })

  test.each([
    'http://console.vast.ai/',
    'http://127.0.0.1.example.test/',
    'http://10.0.0.1/',
    'ftp://127.0.0.1/',
    'https://user:secret@vast.example.test/',
    'https://vast.example.test/?api_key=secret',
    'console.vast.ai',
  ])('%s is refused', (VAST_URL) => {
    expect(() => vastBase({VAST_URL})).toThrow('not an address to send a key to')
  })
})
