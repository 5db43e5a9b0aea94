import {execFileSync} from 'node:child_process'
import {mkdirSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {sharedHome} from '../e2e/dumont.js'

/** Makes a directory a home whose worker has its native helpers: those of the shared home, which are installed once. */
export function lendHelpers(home: string): string {
  const [from, to] = [sharedHome(), home].map((each) => join(each, '.cache/dumont'))
  if (from === undefined || to === undefined) throw new Error('no home')
  mkdirSync(to, {recursive: true})
  mkdirSync(from, {recursive: true})
  // Hard links: nobody changes what is installed.
  for (const name of readdirSync(from))
    if (name.startsWith('native-')) execFileSync('cp', ['-al', join(from, name), join(to, name)])
  return home
}
