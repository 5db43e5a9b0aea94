import path from 'node:path'
import {DumontError} from '../errors.js'
import {type ConfigFile, findConfigFiles} from './config-files.js'
import type {Environment} from './environment.js'
import {environmentLayer, fileLayer, flagLayer, type Layer, overlay} from './layers.js'
import {locateStore, type StoreSettings} from './locate-store.js'
import {type KeySettings, keySettings} from './key-settings.js'
import {nearestWord} from './nearest-word.js'
import {type ProviderSettings, providerSettings} from './provider-settings.js'
import type {FieldName} from './schema.js'
import {type Directories, directoriesOf, homeOf} from './xdg.js'

export interface Settings {
  readonly store: StoreSettings
  readonly profile?: string
  readonly parts?: number
  /** Bytes. */
  readonly memory?: number
  readonly codec?: 'ans' | 'auto' | 'gzstd' | 'none' | 'zstd'
  /** Whether GPUs may compress, and NVIDIA's nvCOMP be installed for it; default true. */
  readonly gpu?: boolean
  readonly delta?: 'auto' | 'off'
  /** How many lost packs of a group can be made again; default none. */
  readonly parity?: number
  readonly exclude?: readonly string[]
  readonly excludeCaches?: boolean
  /** Lifecycle rules that the credentials may not read are known to be harmless. */
  readonly lifecycleAcknowledged?: boolean
  /** Mount points that outlive an instance. */
  readonly survives?: readonly string[]
  /** What is set at all, by name, and where it is from; no values. */
  readonly sources: readonly {readonly name: string; readonly source: string}[]
  readonly directories: Directories
  readonly providers: ProviderSettings
  readonly keys: KeySettings
}

export interface SettingsSources {
  /** As parsed by a command; those that are no settings are ignored. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: Environment
  readonly cwd: string
  /** Default: HOME. */
  readonly home?: string
}

/**
 * Flags win over the environment, that over the nearest configuration file, that over the user's own, that over the default: a
 * directory of the user. Rejects with USAGE for a wrong flag, with CONFIG for everything else, and names the source.
 */
export async function loadSettings({
  flags,
  env,
  cwd,
  home = homeOf(env),
}: SettingsSources): Promise<Settings> {
  const directories = directoriesOf(env, home)
  const given = [flagLayer(flags), environmentLayer(env)]
  const files = await findConfigFiles(cwd, home, directories.config)
  const inFiles = files.map(({file, values}) => fileLayer(values, file))
  const chosen = overlay([...given, ...inFiles])
  const {profile} = chosen.values
  const profiles = profile === undefined ? [] : profileLayers(profile, chosen, files)
  const layer = overlay([...given, ...profiles, ...inFiles])
  const {parts, memory, codec, delta, exclude, excludeCaches, gpu} = layer.values
  const {lifecycleAcknowledged, parity, survives} = layer.values
  return {
    store: locateStore(layer, {kind: 'directory', path: path.join(directories.data, 'store')}),
    directories,
    sources: Object.keys(layer.values)
      .toSorted()
      .map((name) => ({name, source: layer.sourceOf(name as FieldName)})),
    providers: providerSettings(layer, {env, home}),
    keys: keySettings(layer, {cwd, env, home}),
    ...(profile !== undefined && {profile}),
    ...(parts !== undefined && {parts}),
    ...(memory !== undefined && {memory}),
    ...(codec !== undefined && {codec}),
    ...(gpu !== undefined && {gpu}),
    ...(delta !== undefined && {delta}),
    ...(parity !== undefined && {parity}),
    ...(exclude !== undefined && {exclude}),
    ...(excludeCaches !== undefined && {excludeCaches}),
    ...(lifecycleAcknowledged !== undefined && {lifecycleAcknowledged}),
    ...(survives !== undefined && {survives}),
  }
}

function profileLayers(profile: string, chosen: Layer, files: readonly ConfigFile[]): Layer[] {
  const holders = files.filter(({profiles}) => Object.hasOwn(profiles, profile))
  if (holders.length > 0)
    return holders.map(({file, profiles}) =>
      fileLayer(profiles[profile] ?? {}, `profile ${profile} in ${file}`),
    )
  const known = files.flatMap(({profiles}) => Object.keys(profiles))
  const near = nearestWord(profile, known)
  const source = chosen.sourceOf('profile')
  const list =
    known.length === 0
      ? 'no configuration file has profiles; dumont init makes them'
      : `there are ${known.join(', ')}`
  throw new DumontError(
    source.startsWith('--') ? 'USAGE' : 'CONFIG',
    `${source} names the profile ${profile}, which is not there`,
    {
      hint: near === undefined ? list : `did you mean ${near}?`,
    },
  )
}
