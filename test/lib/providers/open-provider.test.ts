import {describe, expect, test} from '@jest/globals'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {PROVIDERS} from '../../../src/lib/providers/instance-address.js'
import {openProvider, type ProviderPlaces} from '../../../src/lib/providers/open-provider.js'
import {loadSettings} from '../../../src/lib/settings/load-settings.js'
import {ManualClock} from '../../support/manual-clock.js'

describe('a provider', () => {
  const clock = new ManualClock()
  const places = (seen: unknown[] = []): ProviderPlaces => ({
    instances: {lab: {host: 'lab'}},
    access: async (vendor) => {
      seen.push(vendor)
      return {apiKey: `key-of-${vendor}`, base: new URL('http://127.0.0.1:9/')}
    },
  })

  test.each(PROVIDERS)('%s is opened by its name', async (name) => {
    const provider = await openProvider(name, places(), {clock})
    expect(provider.name).toBe(name)
    for (const verb of ['search', 'create', 'destroy', 'stop', 'logs', 'attachKey'] as const)
      if (provider.capabilities[verb]) expect(typeof provider[verb]).toBe('function')
  })

  test('is asked at the address and with the key that were given, and nothing else', async () => {
    const asked: string[] = []
    for (const name of ['vast', 'runpod', 'lambda'] as const) {
      const send = (async (url: URL, {headers}: {headers: Record<string, string>}) => {
        asked.push(`${url.origin} ${headers['authorization']}`)
        return Response.json({instances: [], pods: [], data: [], next_token: null})
      }) as unknown as typeof fetch
      const provider = await openProvider(name, places(), {clock, fetch: send})
      await provider.list()
    }
    expect(asked).toEqual([
      'http://127.0.0.1:9 Bearer key-of-vast',
      'http://127.0.0.1:9 Bearer key-of-runpod',
      'http://127.0.0.1:9 Bearer key-of-lambda',
    ])
  })

  test('needs no key to be a machine of the operator', async () => {
    const seen: unknown[] = []
    await openProvider('ssh', places(seen), {clock})
    expect(seen).toEqual([])
  })

  test('is opened from the settings as they are', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'dumont-open-'))
    try {
      const env = {LAMBDA_API_KEY: 'key'}
      const {providers} = await loadSettings({flags: {}, env, cwd: home, home})
      expect((await openProvider('lambda', providers, {clock})).name).toBe('lambda')
      expect(await (await openProvider('ssh', providers, {clock})).list()).toEqual([])
      await expect(openProvider('runpod', providers, {clock})).rejects.toMatchObject({
        code: 'CONFIG',
      })
    } finally {
      await rm(home, {recursive: true})
    }
  })

  test('is refused as the look for its key is', async () => {
    const access = () => Promise.reject(new Error('no key'))
    await expect(openProvider('lambda', {instances: {}, access}, {clock})).rejects.toThrow('no key')
  })
})
