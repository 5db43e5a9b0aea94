import path from 'node:path'
import {DumontError} from '../errors.js'
import {isLoopback} from '../loopback.js'
import type {Environment} from './environment.js'
import {readKeyFile} from './key-file.js'
import type {Layer} from './layers.js'
import type {FieldName, Values} from './schema.js'

/** Vendors that are asked over HTTP. */
export type Vendor = 'lambda' | 'runpod' | 'vast'

/** How to get into one vendor account. */
export interface VendorAccess {
  readonly apiKey: string
  /** Where the key is from, for messages. */
  readonly apiKeyFrom: string
  /** Takes the place of the vendor's own address. */
  readonly base?: URL
}

/** Machines that dumont knows from the configuration alone, by name. */
export type OwnInstances = NonNullable<Values['instances']>

export interface ProviderSettings {
  /** Whose instances bare ids are. */
  readonly standard?: NonNullable<Values['provider']>
  readonly instances: OwnInstances
  /** Looks for the key only now, so that nothing else waits for or fails over it. Rejects with CONFIG. */
  readonly access: (vendor: Vendor) => Promise<VendorAccess>
  /** Whether there is a key at all. Rejects with CONFIG for one that cannot be read. */
  readonly isKnown: (vendor: Vendor) => Promise<boolean>
}

interface KeySource {
  readonly title: string
  readonly field: FieldName & `${Vendor}ApiKey`
  readonly variable: string
  readonly baseVariable: string
  /** Below the XDG configuration home. */
  readonly configFiles: readonly string[]
  /** Below the home directory. */
  readonly homeFiles: readonly string[]
  /** The key in the text of such a file. */
  readonly pattern: RegExp
}

const SOURCES: Readonly<Record<Vendor, KeySource>> = {
  vast: {
    title: 'vast.ai',
    field: 'vastApiKey',
    variable: 'VAST_API_KEY',
    baseVariable: 'VAST_URL',
    configFiles: ['vastai/vast_api_key'],
    homeFiles: ['.vast_api_key'],
    pattern: /^\s*([\x21-\x7E]{1,4096})\s*$/u,
  },
  runpod: {
    title: 'RunPod',
    field: 'runpodApiKey',
    variable: 'RUNPOD_API_KEY',
    baseVariable: 'RUNPOD_URL',
    configFiles: [],
    homeFiles: ['.runpod/config.toml'],
    pattern: /^\s*api_?key\s*=\s*["']?([\w-]{1,4096})["']?\s*$/imu,
  },
  lambda: {
    title: 'Lambda',
    field: 'lambdaApiKey',
    variable: 'LAMBDA_API_KEY',
    baseVariable: 'LAMBDA_URL',
    configFiles: [],
    homeFiles: ['.lambda_cloud/lambda_keys'],
    pattern: /^\s*api_key\s*=\s*["']?([\w.-]{1,4096})["']?\s*$/imu,
  },
}

interface Surroundings {
  readonly env: Environment
  readonly home: string
}

export function providerSettings(layer: Layer, surroundings: Surroundings): ProviderSettings {
  const {instances, provider} = layer.values
  return {
    instances: instances ?? {},
    ...(provider !== undefined && {standard: provider}),
    isKnown: async (vendor) => (await findKey(SOURCES[vendor], layer, surroundings)) !== undefined,
    access: async (vendor) => {
      const source = SOURCES[vendor]
      const key = await findKey(source, layer, surroundings)
      if (key === undefined) throw keyMissing(source, surroundings)
      const base = baseOf(source, surroundings.env)
      return {...key, ...(base && {base})}
    },
  }
}

/** What was said to dumont comes before what was said to the vendor's own tools. */
async function findKey(
  source: KeySource,
  layer: Layer,
  surroundings: Surroundings,
): Promise<Omit<VendorAccess, 'base'> | undefined> {
  const own = layer.values[source.field]
  if (own !== undefined) return {apiKey: own, apiKeyFrom: layer.sourceOf(source.field)}
  for (const file of keyFiles(source, surroundings)) {
    const apiKey = await keyIn(file, source)
    if (apiKey !== undefined) return {apiKey, apiKeyFrom: file}
  }
  return undefined
}

function keyFiles(source: KeySource, {env, home}: Surroundings): readonly string[] {
  const xdg = env['XDG_CONFIG_HOME']
  const config = xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(home, '.config')
  return [
    ...source.configFiles.map((file) => path.join(config, file)),
    ...source.homeFiles.map((file) => path.join(home, file)),
  ]
}

function keyMissing(source: KeySource, surroundings: Surroundings): DumontError {
  return new DumontError('CONFIG', `there is no key for ${source.title}`, {
    hint: `set ${source.variable}, or write ${source.field} into dumont's own configuration (mode 600); looked into ${keyFiles(source, surroundings).join(', ')} as well`,
  })
}

async function keyIn(file: string, {pattern, title}: KeySource): Promise<string | undefined> {
  const found = await readKeyFile(file)
  if (found === undefined || found.text.trim() === '') return undefined
  if ((found.mode & 0o077) !== 0)
    throw new DumontError('CONFIG', `${file} holds a key that others can read`, {
      hint: `chmod 600 ${file}`,
    })
  const key = pattern.exec(found.text)?.[1]
  if (key === undefined) throw new DumontError('CONFIG', `${file} holds no key for ${title}`)
  return key
}

/** From the environment alone: a file that came with a project must not say where the key is sent. */
function baseOf({baseVariable}: KeySource, env: Environment): URL | undefined {
  const text = env[baseVariable] ?? ''
  if (text === '') return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !isSafe(url))
    throw new DumontError(
      'CONFIG',
      `${baseVariable} must be https://host, without user or query, or http:// on this machine`,
    )
  return url
}

function isSafe(url: URL): boolean {
  const isPrivate = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))
  return isPrivate && `${url.username}${url.password}${url.search}${url.hash}` === ''
}
