import {existsSync} from 'node:fs'
import {join} from 'node:path'
import {installSystem} from './install-system.js'
import {run, say} from './run-step.js'

const NEWEST_FIRST = ['python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3']
const RECENT = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'

/**
 * A virtual environment at `folder` that holds these requirements (pip arguments, such as `-r dev.txt`).
 * Returns its interpreter, or undefined after saying what is missing.
 *
 * @param {string} folder
 * @param {string[]} requirements
 */
export async function ensurePython(folder, requirements) {
  const interpreter = join(folder, 'bin/python')
  const works =
    existsSync(interpreter) && (await run([interpreter, '-c', RECENT], {capture: true})).code === 0
  if (!works && !(await makeVenv(folder))) return undefined
  const pip = [interpreter, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  const {code} = await run([...pip, '--retries', '3', ...requirements], {minutes: 10})
  return code === 0 ? interpreter : undefined
}

async function makeVenv(folder) {
  say('Python environment')
  let python = await findPython()
  if (python === undefined) {
    // Debian ships Python without ensurepip, which venv needs.
    await installSystem(['python3', 'python3-venv'])
    python = await findPython()
  }
  if (python === undefined) {
    process.stderr.write(
      'No Python ≥ 3.10 with venv and ensurepip. Install one, on Debian python3 and python3-venv.\n',
    )
    return false
  }
  return (await run([python, '-m', 'venv', '--clear', folder])).code === 0
}

async function findPython() {
  for (const name of NEWEST_FIRST) {
    if ((await run([name, '-c', RECENT], {capture: true, minutes: 1})).code === 0) return name
  }
  return undefined
}
