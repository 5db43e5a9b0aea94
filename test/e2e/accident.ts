import {expect} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {existsSync, readdirSync} from 'node:fs'
import {mkdir, readdir, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {lendHelpers} from '../support/lent-home.js'
import {startVersitygw, type Versitygw} from '../support/versitygw.js'
import {
  type Answer,
  answered,
  dumont,
  type Running,
  startDumont,
  type Surroundings,
} from './dumont.js'
import {credentials} from './operator.js'
import {differences, scratch} from './trees.js'

/** Of packs that were stored before whatever happens; a further one may be on its way. */
const STORED = 3

/** A workspace of ten incompressible packs, and a store of its own for each accident that a create of it has. */
export class Accidents {
  readonly folder: string
  readonly home: string
  readonly workspace: string
  readonly server: Versitygw
  readonly proxy: FaultyProxy
  /** TMPDIR of the commands, and of the box. */
  readonly temporary: string
  #host = 'local'
  #operatorHome: string
  readonly #remove: () => Promise<void>
  #number = 0

  private constructor(
    folder: string,
    {proxy, remove, server}: Pick<Accidents, 'proxy' | 'server'> & {remove: () => Promise<void>},
  ) {
    this.folder = folder
    this.home = lendHelpers(join(folder, 'home'))
    this.#operatorHome = this.home
    this.temporary = join(folder, 'tmp')
    this.workspace = join(folder, 'workspace')
    this.proxy = proxy
    this.server = server
    this.#remove = remove
  }

  static async open(): Promise<Accidents> {
    const {path, remove} = await scratch()
    const server = await startVersitygw()
    const proxy = await startFaultyProxy(server.endpoint)
    await mkdir(join(path, 'tmp'))
    await mkdir(join(path, 'workspace'))
    for (let n = 0; n < 10; n++)
      await writeFile(join(path, 'workspace', `part-${n}`), randomBytes(4 << 20))
    return new Accidents(path, {proxy, remove, server})
  }

  async close(): Promise<void> {
    await this.proxy.close()
    await this.server.close()
    await this.#remove()
  }

  /** The next accident: another store, and nothing wrong yet. */
  next(): void {
    this.proxy.clear()
    this.#number++
  }

  /** Another box from now on, and the home of who goes there. */
  at(host: string, operatorHome: string): void {
    this.#host = host
    this.#operatorHome = operatorHome
  }

  get surroundings(): Surroundings & {readonly env: Readonly<Record<string, string>>} {
    const env = {...credentials(this.server), TMPDIR: this.temporary}
    return {env, home: this.#operatorHome}
  }

  get store(): readonly string[] {
    const {endpoint} = this.proxy
    return ['--store', `s3://${this.server.bucket}/${this.#number}`, '--endpoint', endpoint]
  }

  get create(): readonly string[] {
    return ['snapshot', 'create', '--host', this.#host, ...this.store, this.workspace]
  }

  packsSent(): number {
    const {requests} = this.proxy
    return requests.filter(
      ({fault, method, path}) => !fault && method === 'PUT' && path.includes('/packs/'),
    ).length
  }

  packsStored(): number {
    const packs = join(this.server.root, String(this.#number), 'packs')
    const names = existsSync(packs) ? readdirSync(packs, {encoding: 'utf8', recursive: true}) : []
    return names.filter((name) => /\d+-\d+-\d+$/u.test(name)).length
  }

  /** A create that stands still when some packs are stored and noted. */
  async standing(through: readonly string[] = []): Promise<Running> {
    this.proxy.inject({
      fault: {kind: 'stall'},
      method: 'PUT',
      path: /\/packs\//u,
      skip: STORED,
      times: 999,
    })
    const running = startDumont(this.create, {...this.surroundings, through})
    await until(
      () =>
        this.packsStored() >= STORED && this.proxy.requests.some(({fault}) => fault === 'stall'),
    )
    // The answers still have to reach the worker, and its journal.
    await new Promise((resolve) => setTimeout(resolve, 500))
    return running
  }

  /** The same command: it completes, sends nothing twice, and what it makes is whole and comes back equal. */
  async goesOn(through: readonly string[] = []): Promise<void> {
    this.proxy.clear()
    const done = await answered(this.create, {...this.surroundings, through})
    expect(done).toMatchObject({code: 0})
    this.sentNothingTwice()
    await this.isWhole(done)
  }

  /** Waits for its end, which must be a good one. */
  async completes(running: Running): Promise<void> {
    const {code, stderr} = await running.ended
    if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`)
  }

  /** Since the accident, when the proxy was cleared, no pack was sent that was stored before. */
  sentNothingTwice(): void {
    expect(this.packsSent()).toBeLessThanOrEqual(this.packsStored() - STORED)
  }

  /** The newest snapshot in the store, when the command that made it was not asked for JSON. */
  async newest(): Promise<Pick<Answer, 'id'>> {
    const {stdout} = await dumont(['snapshot', 'list', ...this.store, '--json'], this.surroundings)
    const [newest] = (JSON.parse(stdout) as {snapshots: Pick<Answer, 'id'>[]}).snapshots
    if (!newest) throw new Error('there is no snapshot')
    return newest
  }

  /** Nothing of the snapshot is missing in the store, on the box, or left over in its temporary directory. */
  async isWhole({id}: Pick<Answer, 'id'>): Promise<void> {
    const verify = ['snapshot', 'verify', id, ...this.store, '--level', 'decoded']
    expect(await dumont(verify, this.surroundings)).toMatchObject({code: 0})
    const target = join(this.folder, `restored-${this.#number}`)
    const restore = ['snapshot', 'restore', id, '--host', this.#host, ...this.store]
    const restored = await answered([...restore, '--target', target], this.surroundings)
    expect(restored).toMatchObject({code: 0})
    expect(await this.differencesIn(target)).toEqual([])
    await rm(target, {recursive: true})
    expect(await readdir(this.temporary)).toEqual([])
  }

  differencesIn(target: string): Promise<readonly string[]> {
    return differences(this.workspace, target)
  }
}

/** Looks every 20 ms, for a minute at most. */
export async function until(happened: () => boolean): Promise<void> {
  for (let look = 0; look < 3000; look++) {
    if (happened()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('waited a minute in vain')
}
