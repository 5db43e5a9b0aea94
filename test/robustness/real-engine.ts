import {existsSync} from 'node:fs'
import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {startDumont, type Outcome} from '../e2e/dumont.js'
import {credentials} from '../e2e/operator.js'
import {differences} from '../e2e/trees.js'
import type {FaultyProxy} from '../support/faulty-proxy.js'
import type {Versitygw} from '../support/versitygw.js'
import type {Dice} from './dice.js'
import {commandLine, familyOf, whoStays} from './processes.js'
import {Tally} from './tally.js'
import {trouble} from './trouble.js'
import {Workspace} from './workspace.js'

/** What every run does first, so that even the shortest does everything; then chance decides. */
const FIRST = [
  'create',
  'change',
  'create in trouble',
  'change',
  'killed create',
  'restore',
  'damage',
  'killed restore',
  'change',
  'create',
  'restore in trouble',
  'delete',
  'verify',
  'prune',
] as const

type Deed = (typeof FIRST)[number]

const WEIGHTS: Readonly<Record<Deed, number>> = {
  change: 6,
  create: 1,
  'create in trouble': 6,
  damage: 2,
  delete: 1,
  'killed create': 4,
  'killed restore': 3,
  prune: 0.5,
  restore: 1,
  'restore in trouble': 4,
  verify: 1,
}

/** How a command may end while the store misbehaves: never with a bug, never with a wrong word. */
const IN_TROUBLE = [0, 65, 69, 75]

export interface Surroundings {
  /** For everything it makes; empty. */
  readonly folder: string
  readonly home: string
  readonly server: Versitygw
  readonly proxy: FaultyProxy
  readonly isPatient: boolean
}

/**
 * The built command with its real worker on a real S3 server behind a proxy that spoils requests: random work on a
 * workspace, and random deeds. Every snapshot that a command has called whole must come back equal in every property, or,
 * when one of its objects was damaged on purpose, be called damaged. Throws with the seed when anything else happens.
 */
export class RealEngine {
  readonly tally = new Tally()
  readonly #dice: Dice
  readonly #at: Surroundings
  readonly #workspace: Workspace
  /** Copies of the workspace, by snapshot, oldest first. */
  readonly #model = new Map<string, string>()
  /** Half of the seeds use a store that is encrypted. */
  readonly #isSealed: boolean
  #deeds = 0
  #restored = 0

  constructor(dice: Dice, at: Surroundings) {
    this.#dice = dice
    this.#at = at
    this.#isSealed = dice.seed % 2 === 0
    this.#workspace = new Workspace(join(at.folder, 'workspace'), dice)
  }

  async begin(): Promise<void> {
    for (const name of ['workspace', 'copies', 'tmp']) await mkdir(join(this.#at.folder, name))
    for (let n = 0; n < 12; n++) await this.#workspace.change()
  }

  /** The next deed; the first ones are always the same. */
  async deed(): Promise<void> {
    const deed = FIRST[this.#deeds++] ?? this.#dice.weighted(WEIGHTS)
    try {
      await this.#do(deed)
    } catch (error) {
      throw new Error(`seed ${this.#dice.seed}, deed ${this.#deeds} (${deed})`, {cause: error})
    }
    this.tally.add(`did ${deed}`)
  }

  /** At the end: nothing is left over, and all that must be whole is. */
  async end(): Promise<void> {
    for (const id of this.#model.keys()) await this.#restore(id, [])
    await this.#compareList()
    const left = await readdir(join(this.#at.folder, 'tmp'))
    if (left.length > 0) throw new Error(`left in TMPDIR: ${left.join(' ')}`)
  }

  async #do(deed: Deed): Promise<void> {
    const id = this.#model.size > 0 ? this.#dice.one([...this.#model.keys()]) : ''
    if (deed === 'change')
      for (let n = this.#dice.below(6); n >= 0; n--)
        this.tally.add(`change: ${await this.#workspace.change()}`)
    else if (deed === 'create') await this.#create()
    else if (deed === 'create in trouble') await this.#createInTrouble()
    else if (deed === 'killed create') await this.#killedCreate()
    else if (deed === 'restore') await this.#restore(id, [])
    else if (deed === 'restore in trouble')
      await this.#restore(id, trouble(this.#dice, this.#at.isPatient))
    else if (deed === 'killed restore') await this.#killedRestore(id)
    else if (deed === 'damage') await this.#damage(id)
    else if (deed === 'verify') await this.#verify(id)
    else await this.#remove(deed, id)
  }

  async #create(): Promise<void> {
    await this.#acknowledge(await this.#run(this.#createArgv(), [0]))
  }

  async #createInTrouble(): Promise<void> {
    const outcome = await this.#inTrouble(this.#createArgv())
    if (outcome.code === 0) await this.#acknowledge(outcome)
    else await this.#adopt()
  }

  async #killedCreate(): Promise<void> {
    const outcome = await this.#killed(this.#createArgv())
    if (outcome.code === 0) await this.#acknowledge(outcome)
    else {
      await this.#adopt()
      // The same command again.
      await this.#create()
    }
  }

  async #acknowledge({stdout}: Outcome): Promise<void> {
    const {id} = JSON.parse(stdout) as {id?: string}
    if (id === undefined) throw new Error(`no id in ${stdout}`)
    const copy = join(this.#at.folder, 'copies', id)
    await this.#workspace.copy(copy)
    this.#model.set(id, copy)
    this.tally.add('snapshots acknowledged')
  }

  /** A command that failed may have committed before; what it committed must be whole all the same. */
  async #adopt(): Promise<void> {
    for (const id of await this.#listed()) {
      if (this.#model.has(id)) continue
      await this.#acknowledge({stdout: JSON.stringify({id})} as Outcome)
      this.tally.add('committed unheard')
    }
  }

  async #restore(id: string, rules: ReturnType<typeof trouble>): Promise<void> {
    const [target, copy] = [this.#target(), this.#copyOf(id)]
    const files = await new Workspace(copy, this.#dice).files()
    const included =
      files.length > 0 && this.#dice.isWithin(0.3) ? this.#dice.one(files) : undefined
    const argv = this.#restoreArgv(id, target)
    if (included !== undefined) argv.push('--include', globOf(included))
    if (rules.length > 0) {
      const {code} = await this.#inTrouble(argv, rules)
      if (code === 0) await this.#compare(copy, target, included)
    }
    await this.#run(argv, [0])
    await this.#compare(copy, target, included)
    await rm(target, {force: true, recursive: true})
  }

  async #killedRestore(id: string): Promise<void> {
    const [target, copy] = [this.#target(), this.#copyOf(id)]
    const argv = this.#restoreArgv(id, target)
    await this.#killed(argv)
    await this.#run(argv, [0])
    await this.#compare(copy, target)
    await rm(target, {force: true, recursive: true})
  }

  async #compare(copy: string, target: string, included?: string): Promise<void> {
    this.tally.add('restores compared')
    if (included === undefined) {
      const found = await differences(copy, target)
      if (found.length > 0) throw new Error(`restored wrongly: ${found.slice(0, 5).join('\n')}`)
      return
    }
    const [restored] = await wrongFiles(copy, target, [included])
    if (restored !== undefined) throw new Error(`restored wrongly: ${restored}`)
  }

  /** Spoils or drops one object that only this snapshot is sure to need; whoever reads it must notice. Then puts it back. */
  async #damage(id: string): Promise<void> {
    const place = join(this.#at.server.root, 'engine')
    const packs = (await readdir(join(place, 'packs', id)).catch(() => [])).map(
      (name) => `packs/${id}/${name}`,
    )
    const index = (await readdir(join(place, 'index', id))).map((name) => `index/${id}/${name}`)
    const victim = join(
      place,
      this.#dice.one(packs.length > 0 && this.#dice.isWithin(0.8) ? packs : index),
    )
    const isDropped = this.#dice.isWithin(0.4)
    const bytes = await readFile(victim)
    await rename(victim, `${this.#at.folder}/aside`)
    if (!isDropped) {
      const at = this.#dice.below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#dice.below(8))
      await writeFile(victim, bytes)
    }
    this.tally.add(`fault: object ${isDropped ? 'dropped' : 'spoilt'}`)
    const verified = await this.#run(
      ['verify', id, ...this.#store(), '--level', this.#dice.one(['stored', 'decoded'])],
      [65],
    )
    const [target, copy] = [this.#target(), this.#copyOf(id)]
    const restored = await this.#run(this.#restoreArgv(id, target), [0, 65])
    const files = await new Workspace(copy, this.#dice).files()
    const wrong = await wrongFiles(copy, target, files, true)
    if (wrong.length > 0) throw new Error(`damage came through: ${wrong.join(', ')}`)
    const missing = files.filter((file) => !existsSync(join(target, file)))
    if (missing.length > 0 && restored.code === 0)
      throw new Error('a restore without all files ended well')
    const named = damagedFiles(verified.stdout)
    const unnamed = named ? missing.filter((file) => !named.includes(file)) : []
    if (unnamed.length > 0) throw new Error(`lost, but not named by verify: ${unnamed.join(', ')}`)
    this.tally.add('damage reported')
    await rm(target, {force: true, recursive: true})
    await rm(victim, {force: true})
    await rename(`${this.#at.folder}/aside`, victim)
  }

  async #verify(id: string): Promise<void> {
    await this.#run(
      ['verify', id, ...this.#store(), '--level', this.#dice.one(['listed', 'stored', 'decoded'])],
      [0],
    )
  }

  async #remove(deed: Deed, id: string): Promise<void> {
    const ids = [...this.#model.keys()]
    if (ids.length < 3) return
    const kept = 2 + this.#dice.below(3)
    const argv = deed === 'delete' ? ['delete', id] : ['prune', '--keep-last', String(kept)]
    await this.#run([...argv, '--yes', ...this.#store()], [0])
    const listed = await this.#listed()
    if (deed === 'prune' && listed.length < Math.min(kept, ids.length))
      throw new Error('a prune took too much')
    for (const one of deed === 'prune' ? ids.filter((each) => !listed.includes(each)) : [id]) {
      await rm(this.#copyOf(one), {force: true, recursive: true})
      this.#model.delete(one)
    }
    await this.#compareList()
  }

  async #compareList(): Promise<void> {
    const listed = await this.#listed()
    const missing = [...this.#model.keys()].filter((id) => !listed.includes(id))
    if (missing.length > 0) throw new Error(`acknowledged, and lost: ${missing.join(', ')}`)
    if (listed.length > this.#model.size) throw new Error(`nobody made one of ${listed.join(', ')}`)
  }

  async #listed(): Promise<string[]> {
    const {stdout} = await this.#run(['list', ...this.#store()], [0])
    return (JSON.parse(stdout) as {snapshots: {id: string}[]}).snapshots.map(({id}) => id)
  }

  /** Runs a command while the store misbehaves, and counts what really went wrong. */
  async #inTrouble(
    argv: readonly string[],
    rules = trouble(this.#dice, this.#at.isPatient),
  ): Promise<Outcome> {
    const {proxy} = this.#at
    proxy.clear()
    for (const rule of rules) proxy.inject(rule)
    try {
      return await this.#run(argv, IN_TROUBLE)
    } finally {
      for (const {fault} of proxy.requests) if (fault) this.tally.add(`fault: ${fault}`)
      proxy.clear()
    }
  }

  /** Kills one process of a command at some moment; nothing of it may stay. */
  async #killed(argv: readonly string[]): Promise<Outcome> {
    const running = startDumont(['snapshot', ...argv, '--json'], this.#surroundings())
    const moment = this.#dice.below(2500)
    const late = new Promise((resolve) => setTimeout(resolve, moment))
    await Promise.race([late, running.ended])
    const family = familyOf(running.child.pid ?? 0)
    const workers = family
      .slice(1)
      .filter((pid) => commandLine(pid).some((word) => word.includes('python')))
    const victim =
      this.#dice.isWithin(0.5) && workers.length > 0 ? this.#dice.one(workers) : family[0]
    const role =
      victim === family[0]
        ? 'command'
        : commandLine(victim ?? 0).includes('engine')
          ? 'engine'
          : 'worker'
    const isThere = victim !== undefined && commandLine(victim).length > 0
    if (isThere) process.kill(victim, 'SIGKILL')
    const outcome = await running.ended
    if (outcome.code !== 0) this.tally.add(`fault: ${role} killed`)
    const left = await whoStays(family)
    if (left.length > 0) throw new Error(`still running: ${left.join('\n')}`)
    if (outcome.code !== null && ![0, 69, 70, 75].includes(outcome.code))
      throw new Error(`ended with ${outcome.code}: ${outcome.stdout} ${outcome.stderr}`)
    return outcome
  }

  async #run(argv: readonly string[], codes: readonly number[]): Promise<Outcome> {
    const outcome = await startDumont(['snapshot', ...argv, '--json'], this.#surroundings()).ended
    if (!codes.includes(outcome.code ?? -1))
      throw new Error(
        `${argv.join(' ')} ended with ${outcome.code}: ${outcome.stdout} ${outcome.stderr}`,
      )
    this.tally.add(`exit ${outcome.code}`)
    return outcome
  }

  #surroundings() {
    const {folder, server} = this.#at
    const env = {
      ...credentials(server),
      DUMONT_ENCRYPTION: String(this.#isSealed),
      TMPDIR: join(folder, 'tmp'),
    }
    return {env, home: this.#at.home}
  }

  #store(): string[] {
    const {proxy, server} = this.#at
    return ['--store', `s3://${server.bucket}/engine`, '--endpoint', proxy.endpoint]
  }

  #createArgv(): string[] {
    return ['create', '--host', 'local', ...this.#store(), '--name', 'engine', this.#workspace.path]
  }

  #restoreArgv(id: string, target: string): string[] {
    return ['restore', id, '--host', 'local', ...this.#store(), '--target', target]
  }

  #target(): string {
    return join(this.#at.folder, `restored-${this.#restored++}`)
  }

  #copyOf(id: string): string {
    const copy = this.#model.get(id)
    if (copy === undefined) throw new Error(`no such snapshot: ${id}`)
    return copy
  }
}

/** Files whose content is not that of the copy; those that are not there count only when they must be. */
async function wrongFiles(
  copy: string,
  target: string,
  files: readonly string[],
  mayLack = false,
): Promise<string[]> {
  const wrong: string[] = []
  for (const file of files) {
    if (mayLack && !existsSync(join(target, file))) continue
    const [left, right] = await Promise.all([
      readFile(join(copy, file)),
      readFile(join(target, file)),
    ])
    if (!left.equals(right)) wrong.push(file)
  }
  return wrong
}

/** What verify names; undefined where the index itself is damaged, and nothing more can be said. */
function damagedFiles(stdout: string): string[] | undefined {
  return (JSON.parse(stdout) as {damagedFiles?: string[]}).damagedFiles
}

function globOf(path: string): string {
  return path.replaceAll(/[*?[\]\\]/gu, String.raw`\$&`)
}
