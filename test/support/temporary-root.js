// jest's globalSetup: one directory for everything that a run of the tests leaves in the system's temporary directory.
// It is named for the process that removes it, so that a run which was killed is tidied up by a later one.
import {chmodSync, mkdtempSync, readdirSync, realpathSync, statSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {removeTree} from './remove-tree.js'

const PREFIX = 'dumont-run-'
/** Process ids of another container mean nothing here: what is in use is younger than any run. */
const ABANDONED_AFTER_MS = 6 * 3_600_000

export default function makeTemporaryRoot() {
  // Where macOS keeps it, a link leads there; paths of tests are compared with real ones.
  const system = realpathSync(tmpdir())
  for (const name of readdirSync(system)) {
    const root = path.join(system, name)
    if (isAbandoned(name) && ageOf(root) > ABANDONED_AFTER_MS) removeTree(root)
  }
  const root = mkdtempSync(path.join(system, `${PREFIX}${process.pid}-`))
  // As the directory it stands in for: boxes of the tests have users of their own.
  chmodSync(root, 0o1777)
  process.env.TMPDIR = root
}

function isAbandoned(name) {
  const pid = Number(/^dumont-run-(\d+)-/.exec(name)?.[1])
  if (!pid) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

function ageOf(root) {
  // Another run may have removed it by now.
  const stats = statSync(root, {throwIfNoEntry: false})
  return stats ? Date.now() - stats.mtimeMs : 0
}
