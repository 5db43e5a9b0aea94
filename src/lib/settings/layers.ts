import * as v from 'valibot'
import {DumontError, type ErrorCode} from '../errors.js'
import {untrusted} from '../untrusted.js'
import type {Environment} from './environment.js'
import {type FieldName, FIELDS, SECRETS, type Values} from './schema.js'

/** One place settings come from, already checked. */
export interface Layer {
  readonly values: Values
  /** How to call the place of one setting: `--store`, `DUMONT_STORE`, `store in /path/config.json`. */
  readonly sourceOf: (name: FieldName) => string
}

interface Origin {
  readonly code: ErrorCode
  readonly sourceOf: (name: FieldName) => string
}

const FLAGS: Readonly<Record<string, FieldName>> = {
  codec: 'codec',
  delta: 'delta',
  endpoint: 'endpoint',
  encryption: 'encryption',
  gpu: 'gpu',
  exclude: 'exclude',
  'exclude-caches': 'excludeCaches',
  jurisdiction: 'jurisdiction',
  'key-file': 'keyFile',
  memory: 'memory',
  parity: 'parity',
  parts: 'parts',
  profile: 'profile',
  'r2-account': 'account',
  region: 'region',
  store: 'store',
}

const CREDENTIALS: readonly FieldName[] = ['accessKeyId', 'secretAccessKey', 'sessionToken']
const PLACE: readonly FieldName[] = ['endpoint', 'account', 'jurisdiction']

/** The first variable that is set wins. */
const VARIABLES: Readonly<Partial<Record<FieldName, readonly string[]>>> = {
  store: ['DUMONT_STORE'],
  endpoint: ['DUMONT_ENDPOINT', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
  region: ['DUMONT_REGION', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
  account: ['DUMONT_R2_ACCOUNT'],
  jurisdiction: ['DUMONT_JURISDICTION'],
  accessKeyId: ['DUMONT_ACCESS_KEY_ID', 'AWS_ACCESS_KEY_ID'],
  secretAccessKey: ['DUMONT_SECRET_ACCESS_KEY', 'AWS_SECRET_ACCESS_KEY'],
  sessionToken: ['DUMONT_SESSION_TOKEN', 'AWS_SESSION_TOKEN'],
  profile: ['DUMONT_PROFILE'],
  parts: ['DUMONT_PARTS'],
  memory: ['DUMONT_MEMORY'],
  codec: ['DUMONT_CODEC'],
  delta: ['DUMONT_DELTA'],
  parity: ['DUMONT_PARITY'],
  excludeCaches: ['DUMONT_EXCLUDE_CACHES'],
  gpu: ['DUMONT_GPU'],
  keyFile: ['DUMONT_KEY_FILE'],
  passphraseFile: ['DUMONT_PASSPHRASE_FILE'],
  encryption: ['DUMONT_ENCRYPTION'],
  provider: ['DUMONT_PROVIDER'],
  vastApiKey: ['VAST_API_KEY'],
  runpodApiKey: ['RUNPOD_API_KEY'],
  lambdaApiKey: ['LAMBDA_API_KEY'],
}

/** Flags that are no settings are left to the command. */
export function flagLayer(flags: Readonly<Record<string, unknown>>): Layer {
  const found = new Map<FieldName, string>()
  const raw: Partial<Record<FieldName, unknown>> = {}
  for (const [flag, name] of Object.entries(FLAGS)) {
    if (flags[flag] === undefined) continue
    raw[name] = flags[flag]
    found.set(name, `--${flag}`)
  }
  return checkLayer(raw, {code: 'USAGE', sourceOf: (name) => found.get(name) ?? name})
}

/** An empty variable counts as unset. AWS_PROFILE is left to the SDK, which is asked only when nothing better is there. */
export function environmentLayer(env: Environment): Layer {
  const found = new Map<FieldName, string>()
  const raw: Partial<Record<FieldName, unknown>> = {}
  const isSet = (variable: string) => (env[variable] ?? '') !== ''
  // A session token of AWS must not join keys that were meant for dumont.
  const isOwn = CREDENTIALS.some((name) => isSet(VARIABLES[name]?.[0] ?? ''))
  for (const [name, all] of Object.entries(VARIABLES) as [FieldName, readonly string[]][]) {
    const variables = isOwn && CREDENTIALS.includes(name) ? all.slice(0, 1) : all
    const variable = variables.find(isSet)
    if (variable === undefined) continue
    raw[name] = env[variable]
    found.set(name, variable)
  }
  return checkLayer(raw, {code: 'CONFIG', sourceOf: (name) => found.get(name) ?? name})
}

/** `place` is the file, and the profile in it. */
export function fileLayer(raw: Readonly<Record<string, unknown>>, place: string): Layer {
  return checkLayer(raw, {code: 'CONFIG', sourceOf: (name) => `${name} in ${place}`})
}

/**
 * The values of several layers, first come first served, each still knowing where it is from. Settings that mean something only
 * together come from one layer: the first that has one of the deciding two.
 */
export function overlay(layers: readonly Layer[]): Layer {
  const owners = new Map<FieldName, Layer>()
  for (const layer of layers)
    for (const name of Object.keys(layer.values) as FieldName[])
      if (!owners.has(name)) owners.set(name, layer)
  for (const names of [CREDENTIALS, PLACE]) {
    const holder = layers.find(({values}) =>
      names.slice(0, 2).some((name) => values[name] !== undefined),
    )
    for (const name of names) {
      if (holder?.values[name] === undefined) owners.delete(name)
      else owners.set(name, holder)
    }
  }
  const values = Object.fromEntries([...owners].map(([name, layer]) => [name, layer.values[name]]))
  return {values, sourceOf: (name) => owners.get(name)?.sourceOf(name) ?? name}
}

/** Also values that another layer overrides are checked: a typing error should not wait for its day. */
function checkLayer(raw: Readonly<Record<string, unknown>>, {code, sourceOf}: Origin): Layer {
  const values: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(raw) as [FieldName, unknown][]) {
    const result = v.safeParse(FIELDS[name], value)
    if (!result.success) {
      const shown = SECRETS.has(name) ? 'what it is' : told(value)
      throw new DumontError(
        code,
        `${sourceOf(name)} must be ${result.issues[0].message}, not ${shown}`,
      )
    }
    values[name] = result.output
  }
  return {values, sourceOf}
}

/** A list or an object of YAML may hold itself a million times over in a few lines, so only a short one is shown. */
function told(value: unknown): string {
  if (typeof value !== 'object' || value === null)
    return untrusted(JSON.stringify(value) ?? typeof value, 100)
  const parts = Object.values(value)
  const isShort = parts.length <= 10 && parts.every((part) => typeof part !== 'object')
  return isShort
    ? untrusted(JSON.stringify(value), 100)
    : Array.isArray(value)
      ? 'this list'
      : 'this object'
}
