import {readdir, readFile} from 'node:fs/promises'
import {basename, dirname, isAbsolute, join} from 'node:path'

import {DumontError} from '../errors.js'

const MAX_DEPTH = 16

/** The operator's ~/.ssh/config with Include lines at its top level put in; empty text when there is no file. */
export function readSshConfig(home: string, notice: (text: string) => void): Promise<string> {
  return readOne(join(home, '.ssh', 'config'), {depth: 0, home, notice})
}

interface Reading {
  readonly home: string
  readonly depth: number
  readonly notice: (text: string) => void
}

async function readOne(file: string, reading: Reading): Promise<string> {
  if (reading.depth > MAX_DEPTH)
    throw new DumontError('CONFIG', `${file}: Include lines are nested too deeply`)
  const lines: string[] = []
  let inSection = false
  for (const line of (await textOf(file)).split(/\r?\n/)) {
    if (/^\s*(?:host|match)\b/i.test(line)) inSection = true
    const include = /^\s*include(?:\s+|\s*=\s*)(.+?)\s*$/i.exec(line)?.[1]
    if (include === undefined) lines.push(line)
    else if (inSection)
      reading.notice(`${file}: "Include ${include}" inside a Host or Match section is not followed`)
    else lines.push(await readIncluded(include, reading))
  }
  return lines.join('\n')
}

/** A section of an included file ends with that file, hence the `Host *` that brings back the top level. */
async function readIncluded(patterns: string, reading: Reading): Promise<string> {
  const words = patterns.match(/"[^"]*"|\S+/g) ?? []
  const files = await Promise.all(
    words.map((word) => matching(word.replaceAll('"', ''), reading.home)),
  )
  const texts = await Promise.all(
    files.flat().map((file) => readOne(file, {...reading, depth: reading.depth + 1})),
  )
  return [...texts, 'Host *'].join('\n')
}

async function matching(pattern: string, home: string): Promise<string[]> {
  const expanded = pattern.replace(/^~(?=\/)/, home)
  const path = isAbsolute(expanded) ? expanded : join(home, '.ssh', expanded)
  if (!/[*?]/.test(path)) return [path]
  const wanted = new RegExp(
    `^${basename(path)
      .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  )
  const names = await readdir(dirname(path)).catch(absent([]))
  return names
    .filter((name) => wanted.test(name) && !name.startsWith('.'))
    .toSorted()
    .map((name) => join(dirname(path), name))
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(absent(''))
}

/** A file that is not there says nothing; one that cannot be read must not be mistaken for it. */
function absent<T>(instead: T): (cause: NodeJS.ErrnoException) => T {
  return (cause) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return instead
    throw new DumontError('CONFIG', `the SSH configuration cannot be read: ${cause.message}`, {
      cause,
    })
  }
}
