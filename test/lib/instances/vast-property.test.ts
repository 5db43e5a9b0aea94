import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {afterAll, describe, expect, test} from '@jest/globals'
import {hibernate} from '../../../src/lib/instances/hibernate.js'
import type {InstanceService} from '../../../src/lib/instances/instance-service.js'
import {readRecord} from '../../../src/lib/instances/record-log.js'
import {reconcile} from '../../../src/lib/instances/reconcile.js'
import {wake} from '../../../src/lib/instances/wake.js'
import {surveyManifests} from '../../../src/lib/snapshots/manifests.js'
import {vastClient} from '../../support/vast/client.js'
import {type FakeVast, startFakeVast} from '../../support/vast/fake-vast.js'
import {offerRow} from '../../support/vast/offers.js'
import type {Scenario} from '../../support/vast/scenario.js'
import {SCENARIOS} from '../../support/vast/scenarios.js'
import {
  hibernateRequest,
  InstanceWorld,
  merkleOf,
  type Mortal,
  untilKilled,
  wakeRequest,
  wrapped,
} from './instance-world.js'

/** DUMONT_PROPERTY_RUNS=2000 plays more; DUMONT_PROPERTY_FROM begins at another seed. */
const COUNT = Number(process.env['DUMONT_PROPERTY_RUNS'] ?? 60)
const FROM = Number(process.env['DUMONT_PROPERTY_FROM'] ?? 0)
const TURNS = 6
const HF_TOKEN = 'hf_very_secret_value'

/** So that a run shows whether it met what it is there for. */
const tally = {created: 0, kills: 0, receipts: 0, requests: 0, scenarios: 0, stillborn: 0}

/** The same numbers for the same seed. */
function dice(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e37_79b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

/** Boxes in memory behind a vendor that is a real server, on whose clock everything runs. */
class Play {
  readonly violations: string[] = []
  readonly told: string[] = []
  /** Machines that a run gave to somebody. */
  readonly ready = new Set<string>()
  readonly titles: string[] = []
  readonly world: InstanceWorld
  readonly fake: FakeVast
  #runs = 0

  private constructor(world: InstanceWorld, fake: FakeVast) {
    this.world = world
    this.fake = fake
    // A box is there while its contract is and the vendor has it running.
    world.vendor.find = (id: string) => {
      const one = fake.instances.get(Number(id))
      if (!one) return undefined
      return {
        ended: one.destroyedAt !== undefined,
        phase: one.isRunning() ? 'running' : 'stopped',
      } as never
    }
    world.probe = async ({endpoint, instance}) => {
      const one = fake.instances.get(Number(instance.id))
      const mode = one?.life[endpoint.via] ?? 'open'
      const isIn = one?.life.keyAfterMs !== Number.POSITIVE_INFINITY
      if (!one?.isRunning() || mode === 'filtered' || mode === 'refused' || !isIn)
        return {kind: 'closed', why: 'no answer'}
      return {kind: 'open', host: `box-${instance.id}`}
    }
  }

  static async begin(): Promise<Play> {
    const world = await new InstanceWorld().open()
    const fake = await startFakeVast({offers: offers()})
    return new Play(world, fake)
  }

  async end(): Promise<void> {
    await this.fake.close()
    await this.world.close()
  }

  service(mortal: Mortal): InstanceService {
    const {fake, world} = this
    // A program takes a while to be started again.
    fake.clock.advance(15_000)
    const made = world.service(world.owner(`aaaa.${(this.#runs += 1)}`), mortal)
    const provider = wrapped(vastClient(fake), mortal)
    const store = new Proxy(made.store, {
      get: (from, property) =>
        property === 'now' ? async () => fake.clock.now() : Reflect.get(from, property, from),
    })
    return {
      ...made,
      clock: {
        now: () => fake.clock.now(),
        sleep: (ms, signal) => mortal(() => fake.clock.sleep(ms, signal)),
      },
      provider: new Proxy(provider, {
        get: (from, property) => {
          const value: unknown = Reflect.get(from, property, from)
          if (property !== 'destroy' || typeof value !== 'function') return value
          return async (id: string, proof: {kind: string}, signal?: AbortSignal) => {
            await this.look(id, proof.kind)
            return value.call(from, id, proof, signal) as unknown
          }
        },
      }),
      store,
    }
  }

  /** What must be so when the vendor is asked to end something. */
  async look(id: string, kind: string): Promise<void> {
    const {world} = this
    const box = world.box(id)
    tally[kind === 'stillborn' ? 'stillborn' : 'receipts'] += 1
    if (kind === 'stillborn') {
      // A run that died between a restore and its note of it told nobody: such a machine may go.
      const isHandedOut = this.ready.has(id) || (await this.record(id)) !== undefined
      if (isHandedOut) this.violations.push(`${id} was somebody's`)
      return
    }
    const {readable} = await surveyManifests(world.store)
    if (!readable.some(({manifest}) => manifest.index.merkle === merkleOf(box.content)))
      this.violations.push(`${id} was to be ended before its work was stored`)
    const record = await this.record(id)
    if (record?.state !== 'destroying' || !record.snapshot?.provenAt)
      this.violations.push(`${id} was to be ended as ${record?.state}`)
  }

  record(id: string) {
    return readRecord(this.world.store, {account: '4711', id, provider: 'vast'})
  }

  async written(): Promise<string> {
    const {world} = this
    const texts = [JSON.stringify(world.events), ...this.told]
    for await (const {key} of world.store.list('instances/'))
      texts.push(Buffer.from(await world.store.get(key)).toString())
    for (const name of readdirSync(world.stateDir, {encoding: 'utf8', recursive: true}))
      if (/\.(?:log|json)$/u.test(name))
        texts.push(readFileSync(join(world.stateDir, name), 'utf8'))
    return texts.join('\n')
  }
}

const offers = () => [101, 102, 103, 104, 105, 106, 107, 108].map((id) => offerRow(id))

/** What would keep the vendor from ever working again, and what the box itself would have to take part in. */
const isPlayable = ({number, title}: Scenario) =>
  number !== 20 && !['no credit', 'the key may not write', 'the balance is used up'].includes(title)
const POOL = SCENARIOS.filter(isPlayable)

async function playOut(seed: number): Promise<void> {
  const roll = dice(seed)
  const play = await Play.begin()
  const {fake, world} = play
  const {id: number} = await fake.rent({env: {HF_TOKEN}})
  const id = String(number)
  world.box(id).content = `work of ${id}`
  let isHostile = true
  world.beforeTake = (box) => {
    if (isHostile && roll() < 0.3) box.content += '.'
  }
  const arrange = () => {
    if (!isHostile) return
    while (roll() < 0.6) {
      const scenario = POOL[Math.floor(roll() * POOL.length)]
      // Nobody else ends it: what is lost then is nobody's fault here.
      if (!scenario || scenario.number === 36) continue
      play.titles.push(scenario.title)
      scenario.arrange(fake, fake.live()[0])
    }
  }
  /** The vendor is as it should be again, and so are those of its machines that can be. */
  const calm = async () => {
    fake.faults.clear()
    fake.lives = []
    fake.beforeCreate = undefined
    fake.offers = offers()
    for (const one of fake.live()) {
      one.life = {}
      if (!one.isRunning()) await one.start()
    }
    fake.clock.advance(120_000)
  }
  const run = async <T>(work: (mortal: Mortal) => Promise<T>) => {
    const killAt = isHostile && roll() < 0.7 ? 1 + Math.floor(roll() * 70) : Infinity
    const outcome = await untilKilled(killAt, roll() < 0.5, work)
    if (outcome === 'killed') {
      tally.kills += 1
      return outcome
    }
    play.told.push('error' in outcome ? String(outcome.error) : JSON.stringify(outcome.value))
    return outcome
  }

  try {
    for (let turn = 0; turn < TURNS; turn += 1) {
      isHostile = turn < TURNS - 2
      if (isHostile) arrange()
      else await calm()
      const busy = roll() < 0.5 ? 'freeze' : 'refuse'
      await run((mortal) =>
        hibernate(hibernateRequest(id, {busy}), {
          parts: world.hibernateParts(mortal),
          service: play.service(mortal),
        }),
      )
    }
    const asleep = {live: fake.live().map((one) => one.id), state: (await play.record(id))?.state}
    expect({seed, ...asleep}).toEqual({live: [], seed, state: 'hibernated'})

    const request = () => wakeRequest(id, {env: {HF_TOKEN}})
    for (let turn = 0; turn < TURNS; turn += 1) {
      isHostile = turn < TURNS - 2
      fake.offers = offers()
      if (isHostile) arrange()
      else await calm()
      const outcome = await run((mortal) =>
        wake(request(), {parts: world.wakeParts(mortal), service: play.service(mortal)}),
      )
      if (outcome !== 'killed' && 'value' in outcome)
        for (const {instance} of outcome.value.machines) play.ready.add(instance.id)
    }
    await calm()
    const {leaks} = await reconcile(play.service((act) => act()))
    const named = new Set(leaks.map((one) => one.id))
    const record = await play.record(id)
    for (const one of record?.successors ?? []) named.add(one.id)
    const unnamed = fake.live().filter((one) => !named.has(String(one.id)))
    for (const one of unnamed) play.violations.push(`${one.id} is billed and nobody names it`)
    const holding = fake.live().filter((one) => world.box(String(one.id)).restored !== undefined)
    if (holding.length > 1) play.violations.push(`${holding.length} machines hold the workspace`)
    const written = await play.written()
    for (const secret of [...fake.secrets, HF_TOKEN])
      if (written.includes(secret)) play.violations.push('a secret was told')
    const {titles, violations} = play
    tally.created += fake.instances.size - 1
    tally.requests += fake.requests.length
    tally.scenarios += titles.length
    const found = {tooSoon: fake.spacing.tooSoon, urls: fake.violations, violations}
    expect({seed, titles, woken: record?.state, ...found}).toEqual({
      seed,
      titles,
      tooSoon: [],
      urls: [],
      violations: [],
      woken: 'woken',
    })
    expect([...play.ready].filter((one) => !named.has(one))).toEqual([])
  } finally {
    await play.end()
  }
}

afterAll(() => {
  expect(Math.min(...Object.values(tally))).toBeGreaterThan(0)
  process.stderr.write(`seeds ${FROM} to ${FROM + COUNT - 1}: ${JSON.stringify(tally)}\n`)
})

describe('whatever the vendor does over HTTP and whenever dumont is killed', () => {
  test.each(Array.from({length: COUNT}, (_, seed) => FROM + seed))(
    'nothing is lost, doubled, told or left unnamed (seed %i)',
    async (seed) => playOut(seed),
  )
})
