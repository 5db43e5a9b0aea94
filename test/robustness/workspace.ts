import {execFile} from 'node:child_process'
import {
  appendFile,
  chmod,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import type {Dice} from './dice.js'

const execute = promisify(execFile)

const CHANGES = {
  append: 3,
  checkpoint: 2,
  chmod: 1,
  create: 4,
  delete: 2,
  hardlink: 1,
  many: 1,
  rename: 2,
  rewrite: 3,
  sparse: 1,
  symlink: 1,
  truncate: 2,
} as const

/** A directory on a box that somebody works in. */
export class Workspace {
  readonly path: string
  readonly #dice: Dice
  #named = 0

  constructor(path: string, dice: Dice) {
    this.path = path
    this.#dice = dice
  }

  /** Changes something; returns what was done. */
  async change(): Promise<string> {
    const what = this.#dice.weighted(CHANGES)
    const files = await this.files()
    const victim = files.length > 0 ? join(this.path, this.#dice.one(files)) : undefined
    if (
      victim === undefined ||
      ['checkpoint', 'create', 'many', 'sparse', 'symlink'].includes(what)
    )
      await this.#make(what)
    else await this.#alter(what, victim)
    return victim === undefined ? 'create' : what
  }

  async #make(what: string): Promise<void> {
    const [dice, path] = [this.#dice, await this.#fresh()]
    if (what === 'checkpoint') return writeFile(path, floats(dice, dice.below(400_000)))
    if (what === 'many') {
      await mkdir(path)
      for (let n = dice.below(60); n >= 0; n--)
        await writeFile(join(path, `n${n}`), dice.bytes(4 * dice.below(60)))
      return
    }
    if (what === 'symlink') return symlink(dice.one(['nowhere', 'a/b', '../x']), path)
    if (what === 'sparse') {
      const file = await open(path, 'wx')
      await file.truncate(8 << 20)
      await file.write(dice.bytes(8192), 0, 8192, 65_536 * dice.below(100))
      return file.close()
    }
    const size = dice.one([0, 1, 300, 5000, 70_000, 1_500_000, 6_000_000])
    const noise = dice.bytes(4 * Math.ceil(size / 4))
    await writeFile(
      path,
      dice.isWithin(0.5) ? noise.subarray(0, size) : Buffer.alloc(size, 'text of a log '),
    )
  }

  async #alter(what: string, victim: string): Promise<void> {
    const dice = this.#dice
    const {atime, mtime, size} = await stat(victim)
    if (what === 'append') return appendFile(victim, dice.bytes(4 * (1 + dice.below(2000))))
    if (what === 'chmod') return chmod(victim, dice.one([0o400, 0o600, 0o644, 0o755]))
    if (what === 'delete') return rm(victim)
    if (what === 'hardlink') return link(victim, await this.#fresh())
    if (what === 'rename') return rename(victim, await this.#fresh())
    if (what === 'truncate') return truncate(victim, dice.below(size + 1))
    const file = await open(victim, 'r+')
    await file.write(dice.bytes(4), 0, 4, dice.below(size + 1))
    await file.close()
    // The sly way to change a file: nothing but ctime tells.
    if (dice.isWithin(0.3)) await utimes(victim, atime, mtime)
  }

  /** Regular files, relative, in a fixed order. */
  async files(): Promise<string[]> {
    const found = await readdir(this.path, {recursive: true, withFileTypes: true})
    return found
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.path.length + 1))
      .toSorted()
  }

  /** A copy that is equal in every property. */
  async copy(to: string): Promise<void> {
    await execute('cp', ['-a', this.path, to])
  }

  async #fresh(): Promise<string> {
    const folder = join(this.path, this.#dice.one(['', 'a', 'a/b', 'c']))
    await mkdir(folder, {recursive: true})
    return join(
      folder,
      `${this.#dice.one(['x', 'with space', 'ümlaut', '.hidden'])}-${this.#named++}`,
    )
  }
}

/** Like the weights of a model: two bytes each, the high one nearly always the same. */
function floats(dice: Dice, count: number): Buffer {
  const bytes = dice.bytes(4 * Math.ceil(count / 2))
  for (let at = 1; at < bytes.length; at += 2) bytes[at] = 0x3c | ((bytes[at] ?? 0) & 0x81)
  return bytes
}
