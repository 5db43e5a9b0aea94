import {execFile} from 'node:child_process'
import {existsSync} from 'node:fs'
import {mkdtemp} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {ROOT} from './dumont.js'

const execute = promisify(execFile)
const TREES = join(ROOT, 'test/support/tree')
const VENV = join(ROOT, '.venv/bin/python')
export const PYTHON = existsSync(VENV) ? VENV : 'python3'

/** A new directory, gone when the test process calls what it returns. */
export async function scratch(): Promise<{path: string; remove: () => Promise<void>}> {
  const path = await mkdtemp(join(tmpdir(), 'dumont-e2e-'))
  return {
    path,
    // Node's own rm cannot name what lies below PATH_MAX, and folders of mode 555 stop everyone but root.
    remove: async () => {
      if (process.getuid?.() !== 0) await execute('chmod', ['-R', 'u+rwX', path])
      await execute('rm', ['-rf', path])
    },
  }
}

/** Builds the fidelity matrix in a directory. */
export async function makeMatrix(folder: string, ...options: string[]): Promise<string> {
  await execute(PYTHON, [join(TREES, 'make_matrix.py'), ...options, folder], {timeout: 120_000})
  return folder
}

/** Every difference between two trees, one a line; the empty list means equal in every property. */
export async function differences(
  left: string,
  right: string,
  ...ignored: string[]
): Promise<readonly string[]> {
  const options = ignored.flatMap((each) => ['--ignore', each])
  const command = [join(TREES, 'compare_trees.py'), ...options, left, right]
  const limits = {maxBuffer: 1 << 28, timeout: 120_000}
  try {
    await execute(PYTHON, command, limits)
    return []
  } catch (error) {
    const {code, stdout} = error as {code?: number; stdout: string}
    if (code !== 1) throw error
    return stdout.trimEnd().split('\n').slice(0, -1)
  }
}
