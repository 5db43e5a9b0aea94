import {randomBytes} from 'node:crypto'
import {mkdir, open, readFile, realpath, rename, rm} from 'node:fs/promises'
import path from 'node:path'
import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import type {FieldName} from './schema.js'

/** A configuration file that is to be changed. */
export interface ConfigTarget {
  readonly file: string
  /** Whether it already says which store this profile uses. */
  hasStore(profile: string | undefined): boolean
  /** Replaces what the file says of the profile's store, keeps all else, and makes it its owner's alone. */
  write(profile: string | undefined, store: Readonly<Record<string, unknown>>): Promise<void>
}

type Json = Record<string, unknown>

const STORE_KEYS: ReadonlySet<string> = new Set<FieldName>([
  'store',
  'endpoint',
  'region',
  'account',
  'jurisdiction',
  'accessKeyId',
  'secretAccessKey',
  'sessionToken',
  'awsProfile',
])

/** Reads the file if it is there. Rejects with CONFIG when it is not a JSON object, so that nothing of it is lost. */
export async function openConfigTarget(file: string): Promise<ConfigTarget> {
  const content = await readObject(file)
  const sectionOf = (profile: string | undefined) =>
    profile === undefined ? content : profilesOf(content)[profile]
  return {
    file,
    hasStore: (profile) => sectionOf(profile)?.['store'] !== undefined,
    async write(profile, store) {
      const kept = Object.entries(sectionOf(profile) ?? {}).filter(([key]) => !STORE_KEYS.has(key))
      const section = {...store, ...Object.fromEntries(kept)}
      const whole =
        profile === undefined
          ? section
          : {...content, profiles: {...profilesOf(content), [profile]: section}}
      await replace(file, `${JSON.stringify(whole, undefined, 2)}\n`)
    },
  }
}

function profilesOf(content: Json): Record<string, Json> {
  const profiles = content['profiles']
  return typeof profiles === 'object' && profiles !== null ? (profiles as Record<string, Json>) : {}
}

async function readObject(file: string): Promise<Json> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw new DumontError('CONFIG', `${file} cannot be read (${error.code})`, {cause: error})
  })
  try {
    const content: unknown = JSON.parse(text.trim() === '' ? '{}' : text)
    if (typeof content === 'object' && content !== null && !Array.isArray(content))
      return content as Json
  } catch {
    // Told below.
  }
  throw new DumontError('CONFIG', `${file} is not a JSON object, so dumont init cannot change it`, {
    hint: 'correct it, or name another file with --config',
  })
}

/** Whole or not at all, also through a link that leads to the real file. */
async function replace(file: string, text: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), {recursive: true, mode: 0o700})
    const target = await realpath(file).catch(() => file)
    const draft = `${target}.${randomBytes(6).toString('hex')}`
    try {
      await writeDraft(draft, text)
      await rename(draft, target)
    } finally {
      await rm(draft, {force: true})
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw new DumontError(
      'TARGET_UNWRITABLE',
      `${file} cannot be written (${untrusted(code, 40)})`,
      {cause: error},
    )
  }
}

async function writeDraft(draft: string, text: string): Promise<void> {
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
