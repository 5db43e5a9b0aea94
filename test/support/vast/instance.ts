import {randomBytes} from 'node:crypto'
import type {VirtualClock} from './virtual-clock.js'
import type {FakeBox} from './box.js'
import {Gate, type GateMode} from './gate.js'
import {type OfferRow, priced} from './offers.js'
import type {Fields} from './reply.js'

/** From so long after the instance began (or was started again) its record has these fields too. */
export interface Step {
  readonly afterMs: number
  readonly set: Fields
}

/** How one instance lives; what is left out goes well. */
export interface Life {
  readonly boot?: readonly Step[]
  /** After `start`, and after an outbid instance wins again. */
  readonly resume?: readonly Step[]
  /** Reads that do not see it yet. */
  readonly hiddenReads?: number
  readonly hiddenAs?: '404' | 'null'
  /** Reads that still see it although it was destroyed. */
  readonly lingeringReads?: number
  /** Fields that differ from what offer and order say. */
  readonly record?: Fields
  /** `absent`: port 22 is not mapped. */
  readonly direct?: GateMode | 'absent'
  /** `beside`: it answers one port above the one that is told. */
  readonly proxy?: GateMode | 'beside'
  /** Milliseconds of running before sshd answers. */
  readonly sshAfterMs?: number
  /** Milliseconds before an attached key lets in; Infinity for never. */
  readonly keyAfterMs?: number
  /** Another address after each start. */
  readonly moves?: boolean
}

const PULLING = 'Pulling from library/pytorch'

export const BOOT: readonly Step[] = [
  {afterMs: 0, set: {actual_status: null, status_msg: null}},
  {afterMs: 4000, set: {actual_status: 'created'}},
  {afterMs: 8000, set: {actual_status: 'loading', status_msg: PULLING}},
  {
    afterMs: 40_000,
    set: {actual_status: 'running', status_msg: 'success, running', cur_state: 'running'},
  },
]

export const RESUME: readonly Step[] = [
  {afterMs: 0, set: {intended_status: 'running', next_state: 'running'}},
  {afterMs: 10_000, set: {actual_status: 'loading'}},
  {
    afterMs: 20_000,
    set: {actual_status: 'running', cur_state: 'running', status_msg: 'success, running'},
  },
]

export const STOPPED: Fields = {
  actual_status: 'stopped',
  cur_state: 'stopped',
  intended_status: 'stopped',
  next_state: 'stopped',
}

export interface Contract {
  readonly id: number
  readonly offer: OfferRow
  readonly order: Fields
  readonly clock: VirtualClock
  readonly life?: Life
}

/** One contract, from create to after its end. */
export class FakeInstance {
  readonly apiKey = randomBytes(32).toString('hex')
  readonly jupyterToken = randomBytes(32).toString('hex')
  readonly createdAt: number
  readonly publicKeys: string[] = []
  box: FakeBox | undefined
  destroyedAt: number | undefined
  life: Life
  #gates: readonly [Gate, Gate] | undefined
  #old: Gate[] = []
  #since: number
  #steps: readonly Step[]
  #base: Fields = {
    actual_status: null,
    cur_state: 'unloaded',
    intended_status: 'running',
    next_state: 'running',
    status_msg: null,
  }

  readonly id: number
  readonly offer: OfferRow
  /** The body of its create. */
  readonly order: Fields
  readonly #clock: VirtualClock

  constructor({clock, id, life = {}, offer, order}: Contract) {
    this.id = id
    this.offer = offer
    this.order = order
    this.#clock = clock
    this.life = life
    this.createdAt = this.#since = clock.now()
    this.#steps = life.boot ?? BOOT
  }

  get isSpot(): boolean {
    return typeof this.order['price'] === 'number'
  }

  /** Its states from now on: the ones it has stay until a step changes them. */
  live(steps: readonly Step[]): void {
    this.#base = this.states()
    this.#steps = steps
    this.#since = this.#clock.now()
  }

  become(set: Fields): void {
    this.live([{afterMs: 0, set}])
    if (set['actual_status'] !== undefined && set['actual_status'] !== 'running') this.cut()
  }

  async start(): Promise<void> {
    this.live(this.life.resume ?? RESUME)
    if (this.life.moves === true && this.box) await this.connect(this.box)
  }

  stop(): void {
    this.become(STOPPED)
  }

  states(): Fields {
    const passed = this.#steps.filter(({afterMs}) => this.#since + afterMs <= this.#clock.now())
    return Object.assign({}, this.#base, ...passed.map(({set}) => set))
  }

  isRunning(): boolean {
    return this.destroyedAt === undefined && this.states()['actual_status'] === 'running'
  }

  /** Puts a machine behind it, at an address of its own. */
  async connect(box: FakeBox): Promise<void> {
    this.cut()
    this.#old.push(...(this.#gates ?? []))
    this.box = box
    const mode = (way: 'direct' | 'proxy') => () => this.#mode(way)
    this.#gates = [
      await Gate.open(() => this.box?.port ?? 0, mode('direct')),
      await Gate.open(() => this.box?.port ?? 0, mode('proxy')),
    ]
  }

  cut(): void {
    for (const gate of this.#gates ?? []) gate.cut()
  }

  async attach(publicKey: string): Promise<void> {
    this.publicKeys.push(publicKey)
    const delay = this.life.keyAfterMs ?? 0
    if (delay === 0) await this.box?.authorize?.(publicKey)
    else if (delay !== Number.POSITIVE_INFINITY)
      this.#clock.plan(this.#clock.now() + delay, () => void this.box?.authorize?.(publicKey))
  }

  async close(): Promise<void> {
    for (const gate of [...this.#old, ...(this.#gates ?? [])]) await gate.close()
    await this.box?.close()
    this.#old = []
    this.#gates = undefined
    this.box = undefined
  }

  /** As the vendor would tell it now, with stray line ends and numbers in strings. */
  record(): Fields {
    const disk = Number(this.order['disk'])
    const {id: _, ...machine} = priced(this.offer, disk)
    return {
      ...machine,
      id: this.id,
      label: this.order['label'] ?? null,
      disk_space: disk,
      dph_base: this.isSpot ? this.order['price'] : this.offer['dph_base'],
      dph_total:
        Number(this.isSpot ? this.order['price'] : this.offer['dph_base']) +
        (Number(this.offer['storage_cost']) * disk) / 720,
      is_bid: this.isSpot,
      start_date: this.createdAt / 1000,
      end_date: this.createdAt / 1000 + 2_000_000,
      image_uuid: this.order['image'] ?? 'vastai/pytorch',
      image_runtype: 'ssh ssh_direc ssh_proxy',
      template_hash_id: this.order['template_hash_id'] ?? null,
      extra_env: Object.entries((this.order['env'] ?? {}) as Fields).map(([name, value]) => [
        name,
        value,
      ]),
      onstart: this.order['onstart'] ?? null,
      instance_api_key: this.apiKey,
      jupyter_token: this.jupyterToken,
      volume_info: null,
      gpu_util: null,
      disk_usage: -1,
      ...this.#address(),
      ...this.states(),
      ...this.life.record,
    }
  }

  #address(): Fields {
    const [direct, proxy] = this.#gates ?? []
    const told = (proxy?.port ?? 20_000 + (this.id % 1000)) - (this.life.proxy === 'beside' ? 1 : 0)
    const mapped = this.isRunning() && this.life.direct !== 'absent'
    const port = String(direct?.port ?? 40_000 + (this.id % 1000))
    return {
      ssh_host: proxy ? '127.0.0.1' : 'ssh5.vast.ai',
      ssh_port: told,
      ssh_idx: '5',
      public_ipaddr: `${direct ? '127.0.0.1' : '203.0.113.7'}\n`,
      local_ipaddrs: '192.168.1.4 172.17.0.1 \n',
      direct_port_start: mapped ? 40_000 : -1,
      direct_port_end: mapped ? 40_099 : -1,
      ports: mapped
        ? {
            '22/tcp': [
              {HostIp: '0.0.0.0', HostPort: port},
              {HostIp: '::', HostPort: port},
            ],
          }
        : {},
    }
  }

  /** Ports answer only while it runs, and not at once. */
  #mode(way: 'direct' | 'proxy'): GateMode {
    const running = this.#steps.findLast(({set}) => set['actual_status'] === 'running')
    const since = this.#since + (running?.afterMs ?? 0) + (this.life.sshAfterMs ?? 0)
    if (!this.isRunning() || this.#clock.now() < since) return 'refused'
    const mode = this.life[way] ?? 'open'
    return mode === 'absent' || mode === 'beside' ? 'open' : mode
  }
}
