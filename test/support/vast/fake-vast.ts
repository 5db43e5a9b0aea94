import {randomBytes} from 'node:crypto'
import {type BoxMaker, runVendorCommand} from './box.js'
import {Faults} from './faults.js'
import {FakeInstance, type Life, STOPPED} from './instance.js'
import {type OfferRow, offerRow} from './offers.js'
import {type Arrival, type Fields, type Recorded, refusal, type Reply} from './reply.js'
import {findRoute, type Scope} from './routes.js'
import {Spacing} from './spacing.js'
import {type Handled, Transport} from './transport.js'
import {VirtualClock} from './virtual-clock.js'

export interface FakeVastOptions {
  readonly clock?: VirtualClock
  /** Default: three like machines, 101 to 103. */
  readonly offers?: readonly OfferRow[]
  /** Makes a machine behind each new instance; without it there is an address and nothing behind. */
  readonly box?: BoxMaker
  /** How the instances that are created next live, in their order; all that follow live well. */
  readonly lives?: readonly Life[]
}

/** A vendor of machines that behaves like vast.ai, on the loopback and on a clock of its own. */
export class FakeVast {
  readonly clock: VirtualClock
  readonly faults = new Faults()
  readonly key = randomBytes(32).toString('hex')
  readonly account = {id: 4711, email: 'operator@example.com', credit: 25}
  readonly scopes = new Set<Scope>(['misc', 'instance_read', 'instance_write', 'user_read'])
  readonly spacing = new Spacing()
  /** What no well-behaved client does: keys in URLs or at other hosts, paths that do not exist. */
  readonly violations: string[] = []
  readonly instances = new Map<number, FakeInstance>()
  readonly results = new Map<string, {text: string; refusals: number}>()
  /** Answers before a result is there, in the order given. */
  resultRefusals: readonly number[] = [404, 403]
  offers: OfferRow[]
  /** Taken one by one by creates. */
  lives: Life[]
  /** Finds and changes offers right before a create is looked at: somebody else was faster, a price rose. */
  beforeCreate: ((offer: number) => void) | undefined
  readonly #box: BoxMaker | undefined
  readonly #transport: Transport
  #nextId = 30_000_001

  constructor({box, clock, lives, offers}: FakeVastOptions = {}) {
    this.clock = clock ?? new VirtualClock()
    this.offers = [...(offers ?? [offerRow(101), offerRow(102), offerRow(103)])]
    this.lives = [...(lives ?? [])]
    this.#box = box
    this.#transport = new Transport({
      now: () => this.clock.now(),
      faults: this.faults,
      handle: (arrival) => this.#handle(arrival),
    })
  }

  /** To be given as VAST_URL. */
  get url(): string {
    return this.#transport.url
  }

  get requests(): readonly Recorded[] {
    return this.#transport.requests
  }

  /** Everything that must not be told anywhere. */
  get secrets(): readonly string[] {
    const own = [...this.instances.values()].flatMap(({apiKey, jupyterToken, order}) => [
      apiKey,
      jupyterToken,
      ...Object.values((order['env'] ?? {}) as Fields).map(String),
    ])
    return [this.key, ...own].filter((secret) => secret.length > 3)
  }

  /** For the client: while a request is on its way no time passes. */
  readonly fetch: typeof fetch = (...args) => this.clock.during(fetch(...args))

  requestsTo(endpoint: string): readonly Recorded[] {
    return this.requests.filter((request) => request.endpoint === endpoint)
  }

  /** What is billed now. */
  live(label?: string): readonly FakeInstance[] {
    return [...this.instances.values()].filter(
      ({destroyedAt, order}) =>
        destroyedAt === undefined && (label === undefined || order['label'] === label),
    )
  }

  only(): FakeInstance {
    const [instance, ...others] = this.instances.values()
    if (!instance || others.length > 0) throw new Error(`${this.instances.size} instances`)
    return instance
  }

  /** A contract that is there already, running since long unless its life says otherwise. */
  async rent(order: Fields = {}, life: Life = {}): Promise<FakeInstance> {
    const offer = this.offers[0] ?? offerRow(100)
    const full = {client_id: 'me', image: 'vastai/pytorch:2.6', disk: 100, env: {}, ...order}
    const running = {actual_status: 'running', cur_state: 'running', status_msg: 'success'}
    return this.create(offer, full, {boot: [{afterMs: 0, set: running}], ...life})
  }

  async create(offer: OfferRow, order: Fields, life?: Life): Promise<FakeInstance> {
    const id = this.#nextId++
    const given = life ?? this.lives.shift()
    const instance = new FakeInstance({
      clock: this.clock,
      id,
      offer,
      order,
      ...(given && {life: given}),
    })
    this.instances.set(id, instance)
    const label = order['label']
    if (this.#box)
      await instance.connect(
        await this.#box({
          id,
          label: typeof label === 'string' ? label : undefined,
          machine: offer.machine_id,
          env: environmentOf(order),
        }),
      )
    return instance
  }

  async destroy(instance: FakeInstance): Promise<void> {
    instance.destroyedAt = this.clock.now()
    await instance.close()
  }

  /** The balance is used up: everything stops. */
  stopAll(): void {
    this.account.credit = 0
    for (const instance of this.live()) instance.become(STOPPED)
  }

  async command(instance: FakeInstance, command: string): Promise<string> {
    return (await instance.box?.execute?.(command)) ?? runVendorCommand(command)
  }

  /** Where a text can be fetched after some refusals. */
  publish(text: string): string {
    const name = randomBytes(12).toString('hex')
    this.results.set(name, {text, refusals: 0})
    return `${this.url}/results/${name}`
  }

  async listen(): Promise<this> {
    await this.#transport.listen()
    return this
  }

  async close(): Promise<void> {
    await this.#transport.close()
    for (const instance of this.instances.values()) await instance.close()
  }

  #handle(arrival: Arrival): Handled {
    if (arrival.text !== '' && arrival.body === undefined)
      this.violations.push('a body that is no JSON')
    if (arrival.query.has('api_key') || this.#inUrl(arrival)) this.violations.push('a key in a URL')
    const route = findRoute(arrival)
    if (!route) {
      this.violations.push(`no such path: ${arrival.method} ${arrival.path}`)
      return {endpoint: 'none', work: () => ({status: 404, body: '<html>404 Not Found</html>'})}
    }
    const {endpoint, run} = route
    return {endpoint, work: () => this.#refuse(arrival, route) ?? run(this, arrival)}
  }

  #inUrl({path, query}: Arrival): boolean {
    return this.secrets.some((secret) => `${path}?${query.toString()}`.includes(secret))
  }

  #refuse(
    arrival: Arrival,
    {endpoint, scope}: {endpoint: string; scope: Scope | 'none'},
  ): Reply | undefined {
    const {authorization} = arrival.headers
    if (scope === 'none') {
      if (authorization !== undefined) this.violations.push(`the key went to ${endpoint}`)
      return undefined
    }
    if (authorization !== `Bearer ${this.key}`)
      return endpoint === 'search'
        ? refusal(404, 'not_found', 'No such user')
        : refusal(401, 'auth_error', 'Invalid user key')
    if (!this.scopes.has(scope)) return refusal(403, 'forbidden', `key lacks permission ${scope}`)
    return this.spacing.refuse(endpoint, arrival.at)
  }
}

export function startFakeVast(options: FakeVastOptions = {}): Promise<FakeVast> {
  return new FakeVast(options).listen()
}

/** Values by name, without ports. */
function environmentOf(order: Fields): Record<string, string> {
  const entries = Object.entries((order['env'] ?? {}) as Fields)
  return Object.fromEntries(
    entries.filter(([name]) => /^\w+$/u.test(name)).map(([name, value]) => [name, String(value)]),
  )
}
