import {mkdir, open, readFile} from 'node:fs/promises'
import {dirname} from 'node:path'

import {DumontError} from '../errors.js'
import {knownHostsLine, parseKnownHosts, type KnownHost} from './known-hosts.js'

/** All entries of all files; absent files hold none, unreadable ones refuse (HOST_KEY_UNKNOWN). */
export async function readKnownHosts(files: readonly string[]): Promise<KnownHost[]> {
  const texts = await Promise.all(files.map(textOf))
  return texts.flatMap((text, index) => parseKnownHosts(text, files[index] ?? ''))
}

/** Adds one entry, in a line of its own even if the last one was left unfinished. */
export async function addKnownHost(file: string, name: string, key: Buffer): Promise<void> {
  await makeDirectory(dirname(file))
  const handle = await open(file, 'a+', 0o600)
  try {
    const {size} = await handle.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await handle.read(last, 0, 1, size - 1)
    const separator = size > 0 && last[0] !== 0x0a ? '\n' : ''
    await handle.appendFile(separator + knownHostsLine(name, key))
  } finally {
    await handle.close()
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const cause = error as NodeJS.ErrnoException
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return ''
    throw new DumontError('HOST_KEY_UNKNOWN', `the host key cannot be checked: ${cause.message}`, {
      cause,
      hint: `make ${file} readable`,
    })
  }
}

/** ~/.ssh itself, not a whole path to it. */
async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, 0o700).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}
