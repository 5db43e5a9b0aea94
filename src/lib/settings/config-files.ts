import {stat} from 'node:fs/promises'
import path from 'node:path'
import type {CosmiconfigResult, PublicExplorer} from 'cosmiconfig'
import {DumontError, isDumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {nearestWord} from './nearest-word.js'
import {FIELDS, isField, SECRETS} from './schema.js'

/** One configuration file as it was found: known keys only, values not yet checked. */
export interface ConfigFile {
  readonly file: string
  readonly values: Readonly<Record<string, unknown>>
  readonly profiles: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export const USER_FILE = 'config.json'

const PLACES = ['json', 'yaml', 'yml'].flatMap((ending) => [
  `.dumontrc.${ending}`,
  `dumont.config.${ending}`,
])
const PROGRAMS = ['js', 'cjs', 'mjs', 'ts'].map((ending) => `dumont.config.${ending}`)

/**
 * The nearest file from `cwd` up to `home` (or the root, outside of it), then the user's own. Files are data: one that is a
 * program is refused, not run. Rejects with CONFIG and the file's name.
 */
export async function findConfigFiles(
  cwd: string,
  home: string,
  userDirectory: string,
): Promise<ConfigFile[]> {
  const explorer = await openExplorer()
  const found: ConfigFile[] = []
  for (const folder of foldersUpTo(cwd, home)) {
    const file = await readWith(() => explorer.search(folder), folder)
    if (!file) continue
    found.push(file)
    break
  }
  const userFile = path.join(userDirectory, USER_FILE)
  const isThere = await stat(userFile).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw unreadable(userFile, error)
    },
  )
  const own =
    isThere && found[0]?.file !== userFile
      ? await readWith(() => explorer.load(userFile), userFile)
      : undefined
  if (found[0] && found[0].file !== userFile) refuseCommands(found[0], userFile)
  return own ? [...found, own] : found
}

/** A project is downloaded more often than it is read: its file must not say what runs on this machine. */
function refuseCommands({file, values, profiles}: ConfigFile, userFile: string): void {
  const places = [values, ...Object.values(profiles)]
  if (places.some((place) => place['instances'] !== undefined))
    throw new DumontError('CONFIG', `${file} names commands to run (instances)`, {
      hint: `move instances into ${userFile}, the only file they are taken from`,
    })
}

async function openExplorer(): Promise<PublicExplorer> {
  const {
    default: {cosmiconfig, defaultLoaders},
  } = await import('cosmiconfig')
  return cosmiconfig('dumont', {
    searchPlaces: ['package.json', '.dumontrc', ...PLACES, ...PROGRAMS],
    searchStrategy: 'none',
    cache: false,
    loaders: {...defaultLoaders, '.js': refuse, '.cjs': refuse, '.mjs': refuse, '.ts': refuse},
  })
}

function refuse(file: string): never {
  throw new DumontError('CONFIG', `${file} is a program, and dumont does not run configuration`, {
    hint: 'write it as JSON or YAML: dumont.config.json, dumont.config.yaml',
  })
}

function foldersUpTo(cwd: string, home: string): string[] {
  const folders: string[] = []
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    folders.push(folder)
    if (folder === home || folder === path.dirname(folder)) return folders
  }
}

async function readWith(
  read: () => Promise<CosmiconfigResult>,
  place: string,
): Promise<ConfigFile | undefined> {
  try {
    const result = await read()
    if (!result) return undefined
    const file = checkShape(result.filepath, result.isEmpty ? {} : (result.config as unknown))
    await checkOwner(file)
    return file
  } catch (error) {
    if (isDumontError(error)) throw error
    throw unreadable(place, error)
  }
}

function checkShape(file: string, content: unknown): ConfigFile {
  const {profiles, ...values} = asRecord(content, file)
  refuseUnknown(values, file)
  const checked: Record<string, Record<string, unknown>> = {}
  for (const [name, profile] of Object.entries(asRecord(profiles ?? {}, `profiles in ${file}`))) {
    const place = `profile ${untrusted(name, 64)} in ${file}`
    checked[name] = asRecord(profile, place)
    refuseUnknown(checked[name], place)
  }
  return {file, values, profiles: checked}
}

function asRecord(value: unknown, place: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new DumontError('CONFIG', `${place} must be an object of settings`)
}

function refuseUnknown(values: Readonly<Record<string, unknown>>, place: string): void {
  for (const key of Object.keys(values)) {
    if (isField(key) || key === '$schema') continue
    const near = nearestWord(key, [...Object.keys(FIELDS), 'profiles'])
    throw new DumontError('CONFIG', `${untrusted(key, 64)} in ${place} is no setting`, {
      hint:
        near === undefined
          ? `settings are ${Object.keys(FIELDS).join(', ')}`
          : `did you mean ${near}?`,
    })
  }
}

/** Whoever can write the file chooses where snapshots go; whoever can read its secrets can take them. */
async function checkOwner({file, values, profiles}: ConfigFile): Promise<void> {
  const {mode, uid} = await stat(file)
  const self = process.getuid?.()
  if (self !== undefined && uid !== self && uid !== 0)
    throw new DumontError('CONFIG', `${file} belongs to another user`, {
      hint: `chown ${self} ${file}, or move it away`,
    })
  const holdsSecrets = [values, ...Object.values(profiles)].some((part) =>
    Object.keys(part).some((key) => SECRETS.has(key)),
  )
  if (holdsSecrets && (mode & 0o077) !== 0)
    throw new DumontError('CONFIG', `${file} holds credentials that others can read`, {
      hint: `chmod 600 ${file}`,
    })
}

function unreadable(place: string, error: unknown): DumontError {
  const told = error instanceof Error ? error.message : (error as {message?: string}).message
  const reason = told?.replace(/^JSON Error in (.*):\n/u, '$1: ')
  return new DumontError(
    'CONFIG',
    `the configuration in ${place} cannot be read: ${untrusted(reason ?? 'unknown', 300)}`,
    {
      cause: error,
    },
  )
}
