import {describe, expect, test} from '@jest/globals'
import {inspect} from 'node:util'
import {mintDestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import {isProviderError} from '../../../src/lib/providers/provider-error.js'
import type {VastProvider} from '../../../src/lib/providers/vast-provider.js'
import {orderOf, spec4090, vastClient, withVast} from '../../support/vast/client.js'
import type {FakeVast} from '../../support/vast/fake-vast.js'
import type {Scenario} from '../../support/vast/scenario.js'
import {SCENARIOS} from '../../support/vast/scenarios.js'

const KEY = `ssh-ed25519 ${'A'.repeat(68)} me@here`
const LABEL = 'dumont-main-1'

/** A little life of a box; every failure is kept, and what is no ProviderError fails the test. */
class Story {
  readonly failures: unknown[] = []
  readonly told: unknown[] = []
  readonly ids = new Set<string>()

  readonly fake: FakeVast
  readonly client: VastProvider

  constructor(fake: FakeVast, client: VastProvider) {
    this.fake = fake
    this.client = client
  }

  async run(): Promise<void> {
    const {client} = this
    const offers = (await this.try(() => client.search(spec4090()))) ?? []
    const order = orderOf({label: LABEL, env: {TOKEN: 'hf_a-secret-of-the-operator'}})
    const [offer] = offers
    const made = offer && (await this.try(() => client.create(offer, order)))
    if (made) this.ids.add(made.id)
    for (const id of this.ids) {
      await this.try(() => client.attachKey(id, KEY))
      for (let poll = 0; poll < 3; poll++) await this.try(() => client.get(id))
      await this.try(() => client.logs(id, 20))
      await this.try(() => client.stop(id, undefined))
      await this.try(() => client.start(id))
    }
    await this.try(() => client.whoami())
  }

  /** What every command does in the end: find what is there by its label, and end it. */
  async sweep(): Promise<void> {
    for (let round = 0; round < 4; round++) {
      const found = (await this.try(() => this.client.list({label: LABEL}))) ?? []
      for (const id of new Set([...this.ids, ...found.map((one) => one.id)]))
        await this.try(() => this.client.destroy(id, this.#proof(id)))
    }
  }

  async try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await work()
      this.told.push(value)
      return value
    } catch (error) {
      this.failures.push(error)
      if (isProviderError(error) && error.createdId !== undefined) this.ids.add(error.createdId)
      return undefined
    }
  }

  #proof(id: string) {
    return mintDestroyProof({
      kind: 'stillborn',
      instance: {provider: 'vast', account: '4711', id, createdAt: undefined},
      expiresAt: this.fake.clock.now() + 600_000,
    })
  }
}

async function tell(scenarios: readonly Scenario[]): Promise<void> {
  await withVast({}, async (fake, client) => {
    const story = new Story(fake, client)
    for (const {arrange} of scenarios) arrange(fake)
    await story.run()
    for (const {arrange} of scenarios) arrange(fake)
    await story.run()
    fake.faults.clear()
    fake.scopes.add('instance_write')
    await story.sweep()
    expect(story.failures.filter((error) => !isProviderError(error))).toEqual([])
    expect(fake.live()).toEqual([])
    expect(fake.violations).toEqual([])
    expect(fake.spacing.tooSoon).toEqual([])
    const said = inspect([story.failures, story.told], {depth: 9, maxStringLength: null})
    expect(fake.secrets.filter((secret) => said.includes(secret))).toEqual([])
    expect(fake.requests.filter(({path}) => path.includes(fake.key))).toEqual([])
  })
}

describe('whatever the vendor does, nothing is left behind, told or hurried', () => {
  test.each(SCENARIOS.map((scenario) => [scenario.number, scenario.title, scenario] as const))(
    '%i: %s',
    (_, __, scenario) => tell([scenario]),
  )

  test.each(Array.from({length: 40}, (_, seed) => seed))('any four of them, seed %i', (seed) =>
    tell(pick(seed)),
  )
})

/** The same four for the same seed. */
function pick(seed: number): readonly Scenario[] {
  let state = seed + 1
  return Array.from({length: 4}, () => {
    state = (state * 48_271) % 2_147_483_647
    return SCENARIOS[state % SCENARIOS.length] as Scenario
  })
}

test('a second client with the same key may come too soon, and is served all the same (38)', () =>
  withVast({}, async (fake, client) => {
    await fake.rent({label: LABEL})
    const both = [client, vastClient(fake)].map((one) => one.list({label: LABEL}))
    expect((await Promise.all(both)).map((list) => list.length)).toEqual([1, 1])
    expect(fake.spacing.tooSoon).toHaveLength(1)
  }))
