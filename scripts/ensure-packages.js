import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {ROOT, run, say} from './run-step.js'

/** What the built command needs to run. False when it failed. */
export async function ensureBuilt() {
  return (await ensurePackages()) && (await build())
}

/** Installs what package-lock.json names, unless it is there. False when it failed. */
export async function ensurePackages() {
  if (packagesMatchLock()) return true
  say('npm packages')
  const install = ['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error']
  // A registry that hiccups once is no reason to fail; one that fails twice is.
  for (let attempt = 0; attempt < 2; attempt++) {
    if ((await run(install, {minutes: 10})).code === 0) return true
  }
  return false
}

/** False when it failed. */
export async function build() {
  say('build')
  return (await run(['npm', 'run', '--silent', 'build'], {minutes: 5})).code === 0
}

/** npm keeps a second lock inside node_modules that names what is there. */
function packagesMatchLock() {
  const hidden = join(ROOT, 'node_modules/.package-lock.json')
  if (!existsSync(hidden)) return false
  const wanted = packagesOf(join(ROOT, 'package-lock.json'))
  const present = packagesOf(hidden)
  return Object.entries(wanted).every(
    ([path, {optional, version}]) => path === '' || optional || present[path]?.version === version,
  )
}

function packagesOf(lock) {
  return JSON.parse(readFileSync(lock, 'utf8')).packages
}
