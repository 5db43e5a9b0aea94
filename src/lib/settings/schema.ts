import * as v from 'valibot'
import {parseBytes} from '../bytes.js'
import {parseStoreAddress, type StoreAddress, STORE_FORMS} from './store-address.js'

const LEAST_MEMORY = 64 * 1024 * 1024
const MOST_PARITY = 4

/** Every setting: how it must look, in words that complete "must be …", and what it becomes. */
export const FIELDS = {
  store: form(
    STORE_FORMS,
    v.pipe(
      v.string(),
      v.transform(parseStoreAddress),
      v.custom<StoreAddress>((value) => value !== undefined),
    ),
  ),
  endpoint: form(
    'https://host, without user, query or path',
    v.pipe(v.string(), v.transform(parseEndpoint), v.string()),
  ),
  region: form(
    'a region such as eu-central-1 or auto',
    v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,40}$/)),
  ),
  account: form(
    'a Cloudflare account id: 32 hexadecimal digits',
    v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  ),
  jurisdiction: form('default, eu or fedramp', v.picklist(['default', 'eu', 'fedramp'])),
  accessKeyId: word('an access key id'),
  secretAccessKey: word('a secret access key'),
  sessionToken: word('a session token'),
  awsProfile: word('a profile of the AWS files'),
  profile: form(
    'a name of letters, digits, - and _',
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/)),
  ),
  parts: form(
    'a whole number from 1 to 256',
    v.pipe(v.union([v.number(), digits()]), v.integer(), v.minValue(1), v.maxValue(256)),
  ),
  memory: form(
    'a size of at least 64MiB, such as 1GiB',
    v.pipe(v.union([v.number(), size()]), v.safeInteger(), v.minValue(LEAST_MEMORY)),
  ),
  codec: form(
    'auto, ans, gzstd, zstd or none',
    v.picklist(['auto', 'ans', 'gzstd', 'zstd', 'none']),
  ),
  gpu: yesOrNo(),
  delta: form('auto or off', v.picklist(['auto', 'off'])),
  parity: form(
    'a whole number from 0 to 4',
    v.pipe(v.union([v.number(), digits()]), v.integer(), v.minValue(0), v.maxValue(MOST_PARITY)),
  ),
  exclude: form('a list of patterns', v.array(v.string())),
  excludeCaches: yesOrNo(),
  keyFile: form('the path of a key file', v.pipe(v.string(), v.regex(/^[^\0]{1,4096}$/))),
  passphraseFile: form('the path of a file', v.pipe(v.string(), v.regex(/^[^\0]{1,4096}$/))),
  encryption: yesOrNo(),
  lifecycleAcknowledged: yesOrNo(),
  survives: form(
    'a list of absolute paths on the box that outlive it',
    v.array(v.pipe(v.string(), v.regex(/^\/./), v.maxLength(1024))),
  ),
  provider: form('vast, runpod, lambda or ssh', v.picklist(['vast', 'runpod', 'lambda', 'ssh'])),
  vastApiKey: apiKey(),
  runpodApiKey: apiKey(),
  lambdaApiKey: apiKey(),
  instances: form(
    'an object of machines by name, each with host and perhaps exists, start, stop and destroy; the last two need exists',
    v.record(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)), ownInstance()),
  ),
} as const

export type FieldName = keyof typeof FIELDS
export type Values = {readonly [Name in FieldName]?: v.InferOutput<(typeof FIELDS)[Name]>}

/** Never shown, not even when wrong, and only in files that are their owner's alone; commands may hold keys, and act. */
export const SECRETS: ReadonlySet<string> = new Set([
  'secretAccessKey',
  'sessionToken',
  'vastApiKey',
  'runpodApiKey',
  'lambdaApiKey',
  'instances',
])

export function isField(name: string): name is FieldName {
  return Object.hasOwn(FIELDS, name)
}

/** The form a value should have had, in words that complete "must be …"; undefined when it has it. */
export function expectedForm(name: FieldName, value: unknown): string | undefined {
  const result = v.safeParse(FIELDS[name], value)
  return result.success ? undefined : result.issues[0].message
}

/** One schema whose only message is the expected form. */
function form<S extends v.GenericSchema>(
  expected: string,
  schema: S,
): v.SchemaWithPipe<readonly [S]> {
  return v.pipe(v.config(schema, {message: expected}))
}

function word(expected: string) {
  return form(expected, v.pipe(v.string(), v.regex(/^\S+$/)))
}

function yesOrNo() {
  const words = v.pipe(
    v.picklist(['true', 'false']),
    v.transform((text) => text === 'true'),
  )
  return form('true or false', v.union([v.boolean(), words]))
}

/** Copied keys often end in a line break. */
function apiKey() {
  return form('an API key', v.pipe(v.string(), v.trim(), v.regex(/^[\x21-\x7E]{1,4096}$/)))
}

/** What ends a machine, or empties it, must be followed by a look at what is left. */
function ownInstance() {
  const command = v.optional(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(4096)))
  return v.pipe(
    v.strictObject({
      host: v.pipe(v.string(), v.trim(), v.regex(/^[^\s-]\S{0,511}$/)),
      exists: command,
      start: command,
      stop: command,
      destroy: command,
    }),
    v.check(
      ({destroy, exists, stop}) =>
        exists !== undefined || (destroy === undefined && stop === undefined),
    ),
  )
}

function digits() {
  return v.pipe(v.string(), v.regex(/^\d{1,6}$/), v.transform(Number))
}

function size() {
  return v.pipe(v.string(), v.transform(parseBytes), v.number())
}

function parseEndpoint(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isPlain =
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '' &&
    url.pathname === '/'
  return (url.protocol === 'https:' || url.protocol === 'http:') && isPlain ? url.origin : undefined
}
