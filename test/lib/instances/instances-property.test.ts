import {describe, expect, test} from '@jest/globals'
import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import {reconcile} from '../../../src/lib/instances/reconcile.js'
import {readRecord} from '../../../src/lib/instances/record-log.js'
import {wake} from '../../../src/lib/instances/wake.js'
import {surveyManifests} from '../../../src/lib/snapshots/manifests.js'
import {offer, type Fate} from './fake-vendor.js'
import {
  hibernateRequest,
  InstanceWorld,
  merkleOf,
  untilKilled,
  wakeRequest,
  type Mortal,
} from './instance-world.js'

const SEEDS = 40
const RUNS = 8
const FATES: readonly Fate[] = [
  {},
  {},
  {lag: 20_000},
  {lag: 150_000},
  {phases: ['starting', 'failed']},
  {phases: ['starting']},
  {phases: ['starting', 'unreachable', 'running']},
  {phases: ['provisioning', 'stopped']},
  {spec: {gpuName: 'RTX 3090'}},
  {hourly: 2},
  {lingers: 4},
  {phases: ['failed'], lingers: 2},
]
const FAULTS = ['TRANSPORT', 'RATE_LIMITED', 'PROTOCOL', 'lost-reply'] as const
const ON_CREATE = ['AMBIGUOUS', 'OFFER_GONE', 'CAPACITY', 'lost-reply'] as const

/** The same numbers for the same seed. */
function dice(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e37_79b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

const pick = <T>(from: readonly T[], roll: number): T => from[Math.floor(roll * from.length)] as T

async function everythingWritten(world: InstanceWorld): Promise<string> {
  const texts = [JSON.stringify(world.events)]
  for await (const {key} of world.store.list('instances/'))
    texts.push(Buffer.from(await world.store.get(key)).toString())
  for (const name of readdirSync(world.stateDir, {recursive: true, encoding: 'utf8'}))
    if (/\.(?:log|json)$/.test(name)) texts.push(readFileSync(join(world.stateDir, name), 'utf8'))
  return texts.join('\n')
}

async function successorsOf(world: InstanceWorld, id: string): Promise<readonly string[]> {
  const record = await readRecord(world.store, {provider: 'vast', account: '4711', id})
  return (record?.successors ?? []).map((one) => one.id)
}

async function playOut(seed: number): Promise<void> {
  const roll = dice(seed)
  const world = await new InstanceWorld().open()
  const violations: string[] = []
  const id = world.addBox()
  const {vendor} = world
  vendor.offers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => offer(name))
  vendor.fates = Array.from({length: 40}, () => pick(FATES, roll()))
  let isHostile = true
  vendor.fault = (operation) => {
    if (!isHostile || roll() > 0.12) return undefined
    return pick(operation === 'create' ? ON_CREATE : FAULTS, roll())
  }
  world.beforeTake = (box) => {
    if (isHostile && roll() < 0.3) box.content += '.'
  }
  const saved = async () =>
    new Set(
      (await surveyManifests(world.store)).readable.map(({manifest}) => manifest.index.merkle),
    )
  let known = await saved()
  vendor.beforeDestroy = (ended, kind) => {
    const box = world.box(ended)
    if (kind === 'receipt' && !known.has(merkleOf(box.content)))
      violations.push(`${ended} was lost`)
    if (kind === 'stillborn' && box.restored !== undefined)
      violations.push(`${ended} held a restore`)
  }
  let runs = 0
  const service = (mortal: Mortal) => {
    const owner = world.owner(`aaaa.${(runs += 1)}`)
    const made = world.service(owner, mortal)
    // What is in the store at the moment of a DELETE decides; the vendor cannot ask for itself.
    const {provider} = made
    const destroy: typeof provider.destroy = async (...given) => {
      known = await saved()
      return provider.destroy?.(...given)
    }
    return {...made, provider: {...provider, destroy}}
  }
  const play = async <T>(run: (mortal: Mortal) => Promise<T>) =>
    untilKilled(
      isHostile && roll() < 0.7 ? 1 + Math.floor(roll() * 60) : Infinity,
      roll() < 0.5,
      run,
    )

  try {
    for (let turn = 0; turn < RUNS; turn += 1) {
      isHostile = turn < RUNS - 2
      await play((mortal) =>
        hibernate(hibernateRequest(id, {busy: roll() < 0.5 ? 'freeze' : 'refuse'}), {
          parts: world.hibernateParts(mortal),
          service: service(mortal),
        }),
      )
    }
    expect(vendor.live()).toEqual([])
    expect(violations).toEqual([])

    let ready: string | undefined
    for (let turn = 0; turn < RUNS; turn += 1) {
      isHostile = turn < RUNS - 3
      const outcome = await play((mortal) =>
        wake(wakeRequest(id), {parts: world.wakeParts(mortal), service: service(mortal)}),
      )
      if (outcome === 'killed') continue
      const live = vendor.live().filter((one) => one.id !== ready)
      const told = 'error' in outcome ? String(outcome.error) : JSON.stringify(outcome.value)
      if ('value' in outcome) ready = outcome.value.machines[0]?.instance.id ?? ready
      // What showed up only after the end of a run is found by the next one, through its claim.
      const claimed = await everythingWritten(world)
      for (const {id: left, label} of live)
        if (!told.includes(left) && !told.includes(label ?? '–') && !claimed.includes(label ?? '–'))
          violations.push(`${left} is billed and was not named: ${told}`)
    }
    const named = new Set(await successorsOf(world, id))
    // Later commands look again and again: a vendor may show a contract late.
    for (let look = 0; look < 3; look += 1, await world.clock.sleep(60_000))
      for (const one of (await reconcile(service((act) => act()))).leaks) named.add(one.id ?? '')
    const unnamed = vendor.live().filter((one) => one.id !== ready && !named.has(one.id))
    expect({seed, unnamed, violations}).toEqual({seed, unnamed: [], violations: []})
    expect(
      vendor.live().filter((one) => world.box(one.id).restored !== undefined).length,
    ).toBeLessThanOrEqual(1)
    expect(await everythingWritten(world)).not.toContain('hf_very_secret')
  } finally {
    await world.close()
  }
}

describe('whatever vendors do and whenever dumont is killed', () => {
  test.each(Array.from({length: SEEDS}, (_, seed) => seed))(
    'nothing is lost, doubled or left unnamed (%i)',
    async (seed) => playOut(seed),
  )
})
