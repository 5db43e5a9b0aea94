import type {Entry} from './entry.js'
import {damaged} from './integrity.js'

/** Refuses entries that are out of path order, or whose directory did not come before them. */
export class PathOrder {
  #root = -1
  /** Names from the root down to the last entry, as Latin-1 so that text order is byte order. */
  #last: readonly string[] = []
  #lastIsDirectory = false

  take({kind, path, root}: Entry): void {
    const names = path.length === 0 ? [] : path.toString('latin1').split('/')
    if (root === this.#root) this.#follow(names)
    else if (root !== this.#root + 1 || names.length > 0)
      throw damaged('a root does not begin with itself, or not in its turn')
    this.#root = root
    this.#last = names
    this.#lastIsDirectory = kind === 'dir'
  }

  #follow(names: readonly string[]): void {
    let common = 0
    while (common < names.length && names[common] === this.#last[common]) common++
    const name = names[common]
    const lastName = this.#last[common]
    if (name === undefined || (lastName !== undefined && name < lastName))
      throw damaged('entries are not in path order')
    // What both paths share is a directory if the last entry lies in it, or is it.
    const parentIsDirectory = lastName !== undefined || this.#lastIsDirectory
    if (common !== names.length - 1 || !parentIsDirectory)
      throw damaged("an entry's directory is missing before it")
  }
}
