import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {loadSettings} from '../../../src/lib/settings/load-settings.js'

let home: string
let file: string

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'dumont-settings-'))
  file = path.join(home, '.config/dumont/config.json')
  await mkdir(path.dirname(file), {recursive: true})
})
afterAll(() => rm(home, {recursive: true}))

async function keysOf(
  config: object,
  env: Readonly<Record<string, string>> = {},
  flags: Readonly<Record<string, unknown>> = {},
) {
  await writeFile(file, JSON.stringify(config))
  return (await loadSettings({cwd: home, env: {HOME: home, ...env}, flags})).keys
}

describe('settings of keys', () => {
  test('are nothing by themselves', async () => {
    expect(await keysOf({})).toEqual({encryptionAsked: false})
  })

  test('name files by who named them, absolute', async () => {
    const config = {keyFile: '~/a.key', passphraseFile: '/b'}
    expect(await keysOf(config)).toMatchObject({
      keyFile: {named: `keyFile in ${file}`, path: path.join(home, 'a.key')},
      passphraseFile: {path: '/b'},
    })
    expect((await keysOf(config, {DUMONT_KEY_FILE: 'c'})).keyFile).toEqual({
      named: 'DUMONT_KEY_FILE',
      path: path.join(home, 'c'),
    })
    expect((await keysOf(config, {DUMONT_KEY_FILE: 'c'}, {'key-file': '/d'})).keyFile).toEqual({
      named: '--key-file',
      path: '/d',
    })
  })

  test('take secrets from the environment, where an empty one is none', async () => {
    expect(await keysOf({}, {DUMONT_KEY: 'x', DUMONT_PASSPHRASE: ''})).toEqual({
      encryptionAsked: false,
      text: 'x',
    })
  })

  test.each([{passphrase: 'secret'}, {key: 'secret'}, {DUMONT_PASSPHRASE: 'secret'}])(
    'refuse a secret in a file, and do not show it',
    async (config) => {
      const failure = keysOf(config)
      await expect(failure).rejects.toMatchObject({code: 'CONFIG'})
      await expect(failure).rejects.not.toThrow('secret')
    },
  )

  test('tell a flag from what is always so', async () => {
    expect(await keysOf({encryption: false})).toEqual({encryption: false, encryptionAsked: false})
    expect(await keysOf({encryption: true}, {}, {encryption: false})).toEqual({
      encryption: false,
      encryptionAsked: true,
    })
  })
})
