import {describe, expect, test} from '@jest/globals'
import {differsFrom, identifyBox} from '../../../src/lib/instances/box-identity.js'
import type {BoxConnection} from '../../../src/lib/instances/receipt-terms.js'
import {scriptedTools} from './scripted-box.js'

const BOOT = 'acbcf74b-94e3-4ac7-895c-842dd45886d0'
const STAT = `1 (a) b) S ${Array.from({length: 18}, () => '0').join(' ')} 4711 0\n`

interface Scene {
  readonly environ?: string
  readonly boot?: string
  readonly provider?: string
  readonly address?: BoxConnection['address']
  readonly endpoints?: readonly object[]
  readonly execute?: (command: string) => string
}

function identify(scene: Scene, log: string[] = []) {
  const {address, boot = BOOT, endpoints = [], environ = '', execute, provider = 'vast'} = scene
  const tools = scriptedTools((line) => {
    if (line.includes('environ')) return environ
    if (line.includes('boot_id')) return `${boot}\n`
    return line.includes('/proc/1/stat') ? STAT : ''
  }, log)
  const connection = {
    account: 'me',
    instance: {endpoints, id: '77'},
    provider: {
      name: provider,
      ...(execute && {execute: async (_id: string, command: string) => execute(command)}),
    },
    session: tools.session,
    ...(address && {address}),
  } as unknown as BoxConnection
  let drawn = 0
  return identifyBox(tools, connection, (count) => Buffer.alloc(count, (drawn += 1)))
}

describe('a connection', () => {
  test.each([
    ['vast', 'CONTAINER_ID=77\0'],
    ['vast', 'VAST_CONTAINERLABEL=C.77\0CONTAINER_ID=77\0'],
    ['runpod', 'RUNPOD_POD_ID=77\0'],
  ])(
    "leads to the instance of %s when the first process's environment says so",
    async (provider, environ) => {
      expect(await identify({environ, provider})).toEqual({
        bootId: BOOT,
        by: 'environment',
        started: 4711,
      })
    },
  )
  test.each([
    ['another id', 'CONTAINER_ID=78\0'],
    ['two minds', 'CONTAINER_ID=77\0VAST_CONTAINERLABEL=C.78\0'],
    ['nothing', ''],
    ['an id of another vendor', 'RUNPOD_POD_ID=77\0'],
  ])('is refused when it says %s', async (_what, environ) => {
    await expect(identify({environ})).rejects.toThrow(/not proven/)
  })
  test('is proven by what the vendor sees of a fresh name', async () => {
    const log: string[] = []
    const execute = (command: string) => {
      expect(command).toBe(`ls /tmp/dumont-proof-${'01'.repeat(8)}`)
      return `${'02'.repeat(16)}\n`
    }
    expect(await identify({execute, provider: 'lambda'}, log)).toMatchObject({by: 'vendor-channel'})
    expect(log.filter((line) => line.startsWith('rm -rf'))).toHaveLength(1)
  })
  test('is refused when the vendor sees another box, and leaves nothing behind', async () => {
    const log: string[] = []
    await expect(identify({execute: () => 'total 0', provider: 'lambda'}, log)).rejects.toThrow(
      /does not see/,
    )
    expect(log.at(-1)).toMatch(/^rm -rf/)
  })
  test('is proven by an address of its own where there is nothing else', async () => {
    const address = {host: '203.0.113.5', port: 22}
    const endpoints = [{...address, via: 'direct'}]
    expect(await identify({address, endpoints, provider: 'lambda'})).toMatchObject({by: 'address'})
  })
  test.each([
    ['another address', {address: {host: '203.0.113.6', port: 22}, provider: 'lambda'}],
    ['an unknown way', {provider: 'lambda'}],
    [
      'a vendor that shares addresses',
      {address: {host: '203.0.113.5', port: 22}, provider: 'vast'},
    ],
  ] as const)('is refused by %s', async (_what, scene) => {
    const endpoints = [{host: '203.0.113.5', port: 22, via: 'direct'}]
    await expect(identify({endpoints, ...scene})).rejects.toThrow(/not proven/)
  })
  test('is refused without a boot id', async () => {
    await expect(identify({boot: 'x', environ: 'CONTAINER_ID=77\0'})).rejects.toThrow(
      /when it was started/,
    )
  })
})

test('another boot, another start and another way of knowing are differences', () => {
  const one = {bootId: BOOT, by: 'environment', started: 1} as const
  expect(differsFrom(one, {...one})).toBeUndefined()
  expect(differsFrom(one, {...one, bootId: 'x'})).toMatch(/booted again/)
  expect(differsFrom(one, {...one, started: 2})).toMatch(/started again/)
  expect(differsFrom(one, {...one, by: 'address'})).toMatch(/another way/)
})
