import {existsSync} from 'node:fs'
import {mkdir, readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import type {Outcome} from '../e2e/dumont.js'
import {differences} from '../e2e/trees.js'
import {Commands, type Surroundings} from './commands.js'
import {damageOne, wrongFiles} from './damage.js'
import {FIRST, WEIGHTS, type Deed} from './deeds.js'
import type {Dice} from './dice.js'
import {Tally} from './tally.js'
import {trouble} from './trouble.js'
import {Workspace} from './workspace.js'

/**
 * The built command with its real worker on a real S3 server behind a proxy that spoils requests: random work on a
 * workspace, and random deeds. Every snapshot that a command has called whole must come back equal in every property, or,
 * when one of its objects was damaged on purpose, be called damaged. Throws with the seed when anything else happens.
 */
export class RealEngine {
  readonly tally = new Tally()
  readonly #dice: Dice
  readonly #at: Surroundings
  readonly #commands: Commands
  readonly #workspace: Workspace
  /** Copies of the workspace, by snapshot, oldest first. */
  readonly #model = new Map<string, string>()
  #deeds = 0
  #restored = 0

  constructor(dice: Dice, at: Surroundings) {
    this.#dice = dice
    this.#at = at
    this.#commands = new Commands(at, dice, this.tally)
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
    await this.#acknowledge(
      await this.#commands.run(this.#commands.create(this.#workspace.path), [0]),
    )
  }

  async #createInTrouble(): Promise<void> {
    const outcome = await this.#commands.inTrouble(this.#commands.create(this.#workspace.path))
    if (outcome.code === 0) await this.#acknowledge(outcome)
    else await this.#adopt()
  }

  async #killedCreate(): Promise<void> {
    const outcome = await this.#commands.killed(this.#commands.create(this.#workspace.path))
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
    const argv = this.#commands.restore(id, target)
    if (included !== undefined) argv.push('--include', globOf(included))
    if (rules.length > 0) {
      const {code} = await this.#commands.inTrouble(argv, rules)
      if (code === 0) await this.#compare(copy, target, included)
    }
    await this.#commands.run(argv, [0])
    await this.#compare(copy, target, included)
    await rm(target, {force: true, recursive: true})
  }

  async #killedRestore(id: string): Promise<void> {
    const [target, copy] = [this.#target(), this.#copyOf(id)]
    const argv = this.#commands.restore(id, target)
    await this.#commands.killed(argv)
    await this.#commands.run(argv, [0])
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
    const wrong = await wrongFiles(copy, target, [included])
    if (wrong.length > 0 || !existsSync(join(target, included)))
      throw new Error(`restored wrongly: ${included}`)
  }

  /** Damages an object: whoever reads it must notice, and nothing wrong may come back. */
  async #damage(id: string): Promise<void> {
    const object = await damageOne(join(this.#at.server.root, 'engine'), id, this.#dice)
    this.tally.add(`fault: object ${object.how}`)
    const level = this.#dice.one(['stored', 'decoded'])
    const verified = await this.#commands.run(
      ['verify', id, ...this.#commands.store(), '--level', level],
      [65],
    )
    const [target, copy] = [this.#target(), this.#copyOf(id)]
    const restored = await this.#commands.run(this.#commands.restore(id, target), [0, 65])
    const files = await new Workspace(copy, this.#dice).files()
    const wrong = await wrongFiles(copy, target, files)
    if (wrong.length > 0) throw new Error(`damage came through: ${wrong.join(', ')}`)
    const missing = files.filter((file) => !existsSync(join(target, file)))
    if (missing.length > 0 && restored.code === 0)
      throw new Error('a restore without all files ended well')
    // Absent where the index itself is damaged, and nothing more can be said.
    const {damagedFiles} = JSON.parse(verified.stdout) as {damagedFiles?: string[]}
    const unnamed = damagedFiles ? missing.filter((file) => !damagedFiles.includes(file)) : []
    if (unnamed.length > 0) throw new Error(`lost, but not named by verify: ${unnamed.join(', ')}`)
    this.tally.add('damage reported')
    await rm(target, {force: true, recursive: true})
    await object.putBack()
  }

  async #verify(id: string): Promise<void> {
    await this.#commands.run(
      [
        'verify',
        id,
        ...this.#commands.store(),
        '--level',
        this.#dice.one(['listed', 'stored', 'decoded']),
      ],
      [0],
    )
  }

  async #remove(deed: Deed, id: string): Promise<void> {
    const ids = [...this.#model.keys()]
    if (ids.length < 3) return
    const kept = 2 + this.#dice.below(3)
    const argv = deed === 'delete' ? ['delete', id] : ['prune', '--keep-last', String(kept)]
    await this.#commands.run([...argv, '--yes', ...this.#commands.store()], [0])
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
    const {stdout} = await this.#commands.run(['list', ...this.#commands.store()], [0])
    return (JSON.parse(stdout) as {snapshots: {id: string}[]}).snapshots.map(({id}) => id)
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

function globOf(path: string): string {
  return path.replaceAll(/[*?[\]\\]/gu, String.raw`\$&`)
}
