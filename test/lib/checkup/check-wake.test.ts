import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {createHash} from 'node:crypto'
import {gzipSync} from 'node:zlib'
import {checkWake} from '../../../src/lib/checkup/check-wake.js'
import {exitCodeOfFindings} from '../../../src/lib/checkup/finding.js'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {encodeManifest, manifestKey} from '../../../src/lib/format/manifest.js'
import {readManifest} from '../../../src/lib/snapshots/manifests.js'
import {hibernateRequest, InstanceWorld} from '../instances/instance-world.js'

let world: InstanceWorld
let id: string
beforeEach(async () => {
  world = await new InstanceWorld().open()
  id = world.addBox()
})
afterEach(() => world.close())

const sleepOn = () =>
  hibernate(hibernateRequest(id, {goal: 'destroy'}), {
    parts: world.hibernateParts(),
    service: world.service(),
  })
async function looked(what = id) {
  const findings = await checkWake(what, world.service())
  return {findings, byName: new Map(findings.map((one) => [one.what, one]))}
}

test('what sleeps well can be woken', async () => {
  const {snapshot} = await sleepOn()
  await withPack(snapshot.id)
  const {byName, findings} = await looked()
  expect(findings.filter(({state}) => state === 'bad')).toEqual([])
  expect(byName.get('instance')?.message).toContain('hibernated')
  expect(byName.get('snapshot')?.message).toContain(snapshot.id)
  expect(byName.get('decoders')?.state).toBe('good')
  expect(exitCodeOfFindings(findings)).toBe(0)
})

test('it looks, and changes nothing', async () => {
  await sleepOn()
  const before = [...(await keys())]
  const live = world.vendor.live().length
  await looked()
  expect(await keys()).toEqual(before)
  expect(world.vendor.live()).toHaveLength(live)
})

test('a pack that is gone is found before anything is rented', async () => {
  await withPack((await sleepOn()).snapshot.id)
  await world.store.remove((await keys()).filter((key) => key.startsWith('packs/')))
  const {byName, findings} = await looked()
  expect(byName.get('snapshot')).toMatchObject({state: 'bad', exitCode: 65})
  expect(byName.get('snapshot')?.remedy).toContain('dumont snapshot verify')
  expect(exitCodeOfFindings(findings)).toBe(65)
})

test('a damaged list of packs hides nothing else', async () => {
  await sleepOn()
  const {byName} = await looked()
  expect(byName.get('snapshot')).toMatchObject({exitCode: 65, state: 'bad'})
  expect(byName.get('machine')?.state).toBe('good')
})

test('a snapshot that there is not is a finding, not a failure', async () => {
  const {findings} = await looked('20261123T140200Z-aaaaaa')
  expect(findings).toMatchObject([{state: 'bad', what: 'wake'}])
})

test('a running instance that was never saved can only be started', async () => {
  const {byName} = await looked()
  expect(byName.get('snapshot')).toMatchObject({state: 'note'})
})

/** Gives a snapshot of the world a list of packs, and the one pack in it. */
async function withPack(snapshot: string): Promise<void> {
  const key = 'packs/20261123T140200Z-aaaaaa/0-0-aaaa'
  const pin = {kind: 'crc32', value: 'AAAAAA=='}
  const lines = [
    {kind: 'packs', format: 1, snapshot},
    {pack: 0, key, length: 5, pin},
  ]
  const list = gzipSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const {manifest} = await readManifest(world.store, snapshot)
  const packs = {
    key: `index/${snapshot}/packs`,
    length: list.length,
    sha256: createHash('sha256').update(list).digest('hex'),
  }
  await world.store.put(key, Buffer.from('bytes'))
  await world.store.put(packs.key, list)
  await world.store.remove([manifestKey(snapshot)])
  const changed = {...manifest, index: {...manifest.index, packs}}
  await world.store.put(manifestKey(snapshot), encodeManifest(changed))
}

async function keys(): Promise<string[]> {
  const found: string[] = []
  for await (const {key} of world.inner.list('')) found.push(key)
  return found
}
