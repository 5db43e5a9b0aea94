import {mkdirSync, readdirSync, renameSync, rmSync, statSync, truncateSync} from 'node:fs'
import {join} from 'node:path'

const LARGE = 256 * 1024

/**
 * Puts trees out of the way without deleting a file, until `clear`. ext4 does not give the inode of a deleted file away
 * again for minutes and looks at every such inode when it makes a file: a tree of ten thousand files that was deleted a
 * moment ago makes the next tool's restore several times slower.
 *
 * @param {string} work
 */
export function retirement(work) {
  const folder = join(work, 'retired')
  let count = 0
  return {
    clear: () => rmSync(folder, {force: true, recursive: true}),
    /** The tree is gone from its place; only the space of its large files is free. */
    retire(tree) {
      mkdirSync(folder, {recursive: true})
      const place = join(folder, String(count++))
      try {
        renameSync(tree, place)
      } catch (error) {
        if (error.code === 'ENOENT') return
        throw error
      }
      emptyLargeFiles(place)
    },
  }
}

function emptyLargeFiles(tree) {
  for (const entry of readdirSync(tree, {recursive: true, withFileTypes: true})) {
    const file = join(entry.parentPath, entry.name)
    if (entry.isFile()) emptyIfLarge(file)
  }
}

function emptyIfLarge(file) {
  try {
    if (statSync(file).size > LARGE) truncateSync(file)
  } catch (error) {
    // Read-only to a user who is not root: its space is free after `clear`.
    if (error.code !== 'EACCES') throw error
  }
}
