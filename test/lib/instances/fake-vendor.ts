import type {Clock} from '../../../src/lib/clock.js'
import type {DestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import {goneInstance} from '../../../src/lib/providers/gone-instance.js'
import {ProviderError, type ProviderFailure} from '../../../src/lib/providers/provider-error.js'
import type {
  CreateRequest,
  Instance,
  Offer,
  Phase,
  Provider,
  Spec,
} from '../../../src/lib/providers/provider.js'
import {requireProof} from '../../../src/lib/providers/require-proof.js'

export const SPEC: Spec = {
  gpuName: 'RTX 4090',
  gpuCount: 1,
  gpuMemoryMB: 24_000,
  diskGB: 100,
  image: 'vastai/base-image:cuda-12.4',
  ports: [],
  envNames: ['HF_TOKEN'],
  market: {kind: 'on-demand'},
}

/** How a rented machine behaves; every field has a kind default. */
export interface Fate {
  /** States it goes through, one a reading; the last one stays. */
  readonly phases?: readonly Phase[]
  readonly spec?: Partial<Spec>
  readonly hourly?: number
  readonly message?: string
  /** Milliseconds after the create in which it is not shown yet. */
  readonly lag?: number
  /** Readings for which it is still shown after a DELETE that was accepted. */
  readonly lingers?: number
}

interface Contract {
  readonly id: string
  readonly label: string | undefined
  readonly machine: string | undefined
  readonly createdAt: number
  readonly spec: Spec
  readonly hourly: number
  readonly fate: Fate
  readings: number
  phase: Phase | undefined
  ended: boolean
  lingers: number
}

type Fault = (operation: string, count: number) => ProviderFailure | 'lost-reply' | undefined

/** A vendor in memory that does what it was told to do wrong; it survives the dumonts that talk to it. */
export class FakeVendor {
  readonly contracts: Contract[] = []
  readonly destroyed: {readonly id: string; readonly kind: DestroyProof['kind']}[] = []
  readonly creates: string[] = []
  /** What every create was given for the environment. */
  readonly environments: Readonly<Record<string, string>>[] = []
  /** Values of every box's environment; undefined: they cannot be asked for. */
  values: Readonly<Record<string, string>> | undefined
  readonly calls: string[] = []
  offers: Offer[] = []
  fates: Fate[] = []
  fault: Fault = () => undefined
  account = '4711'
  beforeDestroy: (id: string, kind: DestroyProof['kind']) => void = () => {}
  readonly #clock: Clock
  #next = 1000

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A box that was there before dumont came. */
  addBox(changes: Partial<Contract> = {}): string {
    const id = String((this.#next += 1))
    this.contracts.push({
      id,
      label: undefined,
      machine: 'm-old',
      createdAt: this.#clock.now() - 3_600_000,
      spec: SPEC,
      hourly: 0.4,
      fate: {},
      readings: 0,
      phase: 'running',
      ended: false,
      lingers: 0,
      ...changes,
    })
    return id
  }

  /** Another account sees nothing of it. */
  get visible(): readonly Contract[] {
    return this.account === '4711' ? this.contracts : []
  }

  live(): readonly Contract[] {
    return this.contracts.filter(({ended}) => !ended)
  }

  find(id: string): Contract | undefined {
    return this.contracts.find((one) => one.id === id)
  }

  provider(): Provider {
    return {
      name: 'vast',
      capabilities: {
        search: true,
        create: true,
        stop: true,
        stopWipes: false,
        destroy: true,
        spot: true,
        labels: true,
        attachKey: false,
        logs: false,
      },
      whoami: async () => this.#answer('whoami', () => ({account: this.account})),
      list: async (filter) =>
        this.#answer('list', () =>
          this.visible
            .map((one) => this.#show(one))
            .filter((one) => one.phase !== 'gone')
            .filter(({label}) => filter?.label === undefined || label === filter.label),
        ),
      get: async (id) =>
        this.#answer('get', () => {
          const found = this.visible.find((one) => one.id === id)
          return found ? this.#show(found) : goneInstance(id)
        }),
      ...(this.values && {
        values: async () => this.#answer('values', () => this.values ?? {}),
      }),
      search: async () => this.#answer('search', () => this.offers),
      create: async (taken, request) =>
        this.#answer('create', () => ({id: this.#create(taken, request)})),
      start: async (id) =>
        this.#answer('start', () => {
          const found = this.find(id)
          if (found) found.phase = 'running'
        }),
      stop: async (id) =>
        this.#answer('stop', () => {
          const found = this.find(id)
          if (found) found.phase = 'stopped'
        }),
      destroy: async (id, proof) => {
        requireProof(proof, {id, provider: 'vast', operation: 'destroy'}, this.#clock)
        return this.#answer('destroy', () => {
          const found = this.find(id)
          if (!found || found.ended) return
          this.beforeDestroy(id, proof.kind)
          this.destroyed.push({id, kind: proof.kind})
          found.ended = true
          found.lingers = found.fate.lingers ?? 0
        })
      },
    }
  }

  /** A lost reply comes after the deed. */
  #answer<T>(operation: string, deed: () => T): T {
    this.calls.push(operation)
    const count = this.calls.filter((one) => one === operation).length
    const fault = this.fault(operation, count)
    const where = {provider: 'vast', operation}
    if (fault === undefined) return deed()
    if (fault !== 'lost-reply') throw new ProviderError(fault, where, 'scripted')
    deed()
    throw new ProviderError(operation === 'create' ? 'AMBIGUOUS' : 'TRANSPORT', where, 'no reply')
  }

  #create(taken: Offer, {env, label, spec}: CreateRequest): string {
    this.environments.push(env)
    const fate = this.fates.shift() ?? {}
    const id = String((this.#next += 1))
    this.creates.push(id)
    this.contracts.push({
      id,
      label,
      machine: taken.machine,
      createdAt: this.#clock.now(),
      spec: {...spec, envNames: [], ...fate.spec},
      hourly: fate.hourly ?? taken.hourly,
      fate,
      readings: 0,
      phase: undefined,
      ended: false,
      lingers: 0,
    })
    return id
  }

  #show(one: Contract): Instance {
    if (one.ended) {
      one.lingers -= 1
      if (one.lingers < 0) return goneInstance(one.id)
    }
    one.readings += 1
    const {createdAt, fate, hourly, id, label, machine, readings, spec} = one
    if (this.#clock.now() - createdAt < (fate.lag ?? 0)) return goneInstance(id)
    const phases = fate.phases ?? ['starting', 'running']
    const told = phases[Math.min(readings - 1, phases.length - 1)] ?? 'running'
    const phase = one.phase ?? told
    return {
      id,
      label,
      phase,
      state: phase,
      message: fate.message,
      endpoints:
        phase === 'running' ? [{host: `box-${id}`, port: 22, user: 'root', via: 'direct'}] : [],
      spec,
      machine,
      hourly,
      storagePerGBMonth: 0.15,
      upCostPerGB: 0.01,
      downCostPerGB: 0.01,
      createdAt,
      endsAt: undefined,
      volumes: [],
    }
  }
}

export function offer(id: string, changes: Partial<Offer> = {}): Offer {
  return {
    id,
    machine: `m-${id}`,
    spec: SPEC,
    hourly: 0.35,
    storagePerGBMonth: 0.15,
    upCostPerGB: 0.01,
    downCostPerGB: 0.01,
    downMbps: 1000,
    upMbps: 1000,
    reliability: 0.99,
    ...changes,
  }
}
