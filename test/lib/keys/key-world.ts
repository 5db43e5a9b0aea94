import {mkdtemp, rm} from 'node:fs/promises'
import {randomBytes} from 'node:crypto'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {Beginning, KeyPlace} from '../../../src/lib/keys/open-keyed.js'
import {openKeyedStore} from '../../../src/lib/keys/open-keyed.js'
import {type OpenedKeys, openKeysOf} from '../../../src/lib/keys/opened-keys.js'
import {keyFileOf} from '../../../src/lib/keys/secret-file.js'
import type {KeySources} from '../../../src/lib/keys/sources.js'
import {MemoryStore} from '../../../src/lib/store/memory-store.js'
import type {Store} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

/** A recovery text that is written down at once, and what it said. */
export class Paper {
  groups: readonly string[] = []
  readonly confirm = async (groups: readonly string[]): Promise<boolean> => {
    this.groups = groups
    return true
  }
}

/** One store in memory, and machines with directories of their own. */
export class KeyWorld {
  readonly store = new MemoryStore({clock: new ShiftedClock()})
  readonly notes: string[] = []
  readonly root: string

  private constructor(root: string) {
    this.root = root
  }

  static async open(): Promise<KeyWorld> {
    return new KeyWorld(await mkdtemp(path.join(tmpdir(), 'dumont-keys-')))
  }

  async close(): Promise<void> {
    await this.store.close()
    await rm(this.root, {force: true, recursive: true})
  }

  place(machine = 'laptop', sources: Partial<KeySources> = {}): KeyPlace {
    const folder = path.join(this.root, machine)
    return {
      location: {kind: 'directory', path: '/store'},
      notice: (message) => this.notes.push(message),
      random: randomBytes,
      sources: {directory: path.join(folder, 'keys'), ...sources},
      stateDir: path.join(folder, 'state'),
    }
  }

  fileOf(repository: string, machine = 'laptop'): string {
    return keyFileOf(path.join(this.root, machine, 'keys'), repository)
  }

  begin(wish: Partial<Beginning> = {}, machine = 'laptop', store: Store = this.store) {
    const beginning = {encryption: true, isAsked: false, ...wish}
    return openKeyedStore(store, this.place(machine), beginning)
  }

  read(machine = 'laptop', sources: Partial<KeySources> = {}) {
    return openKeyedStore(this.store, this.place(machine, sources))
  }

  keys(machine = 'laptop', sources: Partial<KeySources> = {}): Promise<OpenedKeys> {
    return openKeysOf(this.store, this.place(machine, sources))
  }

  async names(prefix: string, store: Store = this.store): Promise<string[]> {
    const names = []
    for await (const {key} of store.list(prefix)) names.push(key)
    return names
  }
}

/** Lets through so many writes and removals, and then fails as if the machine had lost its power. */
export function dyingStore(store: Store, steps: number): Store {
  let left = steps
  const step = () => {
    if (left === 0) throw new Error('power lost')
    left -= 1
  }
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (left === 0) throw new Error('power lost')
        if (
          (name === 'put' && !String(args[0]).startsWith('probe/')) ||
          (name === 'remove' && !String(args[0]).startsWith('probe/'))
        )
          step()
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
}
