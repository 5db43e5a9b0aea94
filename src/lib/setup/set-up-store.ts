import {pathToFileURL} from 'node:url'
import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {isLoopback} from '../loopback.js'
import type {ConfigTarget} from '../settings/config-target.js'
import type {Environment} from '../settings/environment.js'
import {environmentLayer, flagLayer, type Layer, overlay} from '../settings/layers.js'
import {locateStore, type StoreSettings} from '../settings/locate-store.js'
import {expectedForm, type FieldName} from '../settings/schema.js'
import {openStore} from '../store/open-store.js'
import {type OpenedRepository, openRepository} from '../store/repository.js'
import {skewWarning} from '../store/skew.js'
import type {Protection} from '../seal/store-keys.js'
import type {PinKind, Store} from '../store/store.js'
import type {Answers} from './answers.js'

export interface SetupRequest {
  readonly answers: Answers
  readonly env: Environment
  readonly profile?: string
  readonly target: ConfigTarget
  readonly clock: Clock
  /** Opens the repository, or makes it with keys; without this a new store has none. */
  readonly begin?: (
    store: Store,
    location: StoreSettings,
    signal?: AbortSignal,
  ) => Promise<OpenedRepository>
}

/** What was found and done. */
export interface SetupReport {
  readonly store: string
  /** Absent for a directory, and for AWS itself. */
  readonly endpoint?: string
  readonly repository: string
  readonly isNew: boolean
  /** Absent: the store has no keys. */
  readonly protection?: Protection
  readonly pin: PinKind
  /** What the store's clock shows more than ours. */
  readonly skewSeconds: number
  readonly config: string
  readonly profile?: string
  readonly notes: readonly string[]
}

/**
 * Tests a store the way every later command will use it, and only then writes the configuration. Rejects with what is wrong with the
 * answers (USAGE) or with the store; nothing is written then.
 */
export async function setUpStore(
  request: SetupRequest,
  signal?: AbortSignal,
): Promise<SetupReport> {
  const {answers, clock, env, profile, target} = request
  const environment = environmentLayer(env)
  const location = locate(answers, environment)
  const store = await openStore(location, {clock}, signal)
  try {
    const repository = request.begin
      ? await request.begin(store, location, signal)
      : await openRepository(store, {create: true}, signal)
    const skewMs = (await store.now(signal)) - clock.now()
    await target.write(profile, fileValues(answers, location))
    const warning = skewWarning(skewMs)
    return {
      store: store.url,
      ...(location.kind === 's3' &&
        location.endpoint !== undefined && {endpoint: location.endpoint}),
      repository: repository.id,
      isNew: repository.isNew,
      ...(repository.protection && {protection: repository.protection}),
      pin: repository.pin,
      skewSeconds: Math.round(skewMs / 1000),
      config: target.file,
      ...(profile !== undefined && {profile}),
      notes: [
        ...repository.notes,
        ...(warning === undefined ? [] : [warning]),
        ...notesOf(answers, location, environment),
      ],
    }
  } finally {
    await store.close()
  }
}

/** As a later command will see it: the answers in the file, and credentials of the environment where the file has none. */
function locate(answers: Answers, environment: Layer): StoreSettings {
  const {accessKeyId, secretAccessKey, account, ...others} = answers
  const given = flagLayer({...others, ...(account !== undefined && {'r2-account': account})})
  if (accessKeyId !== undefined && secretAccessKey === undefined)
    throw new DumontError('USAGE', 'the access key id came without its secret', {
      hint: 'set DUMONT_SECRET_ACCESS_KEY, or name a file with --secret-access-key-file (- for stdin)',
    })
  for (const name of ['accessKeyId', 'secretAccessKey'] as const) {
    const expected = answers[name] === undefined ? undefined : expectedForm(name, answers[name])
    if (expected !== undefined)
      throw new DumontError('USAGE', `what was given as ${expected} is none`)
  }
  const keys = {
    values: {
      ...(accessKeyId !== undefined && {accessKeyId}),
      ...(secretAccessKey !== undefined && {secretAccessKey}),
    },
    sourceOf: () => 'this set-up',
  }
  const layer = overlay([given, keys, borrow(environment)])
  if (layer.values.store === undefined)
    throw new DumontError('USAGE', 'no store is named', {hint: 'give --store, or --bucket'})
  return locateStore(layer, {kind: 'directory', path: '/'})
}

/** What the file may leave to the environment for ever. */
function borrow({values, sourceOf}: Layer): Layer {
  const {accessKeyId, secretAccessKey, sessionToken, region} = values
  return {
    values: {
      ...(accessKeyId !== undefined && {accessKeyId}),
      ...(secretAccessKey !== undefined && {secretAccessKey}),
      ...(sessionToken !== undefined && {sessionToken}),
      ...(region !== undefined && {region}),
    },
    sourceOf,
  }
}

function fileValues(answers: Answers, location: StoreSettings): Readonly<Record<string, unknown>> {
  return location.kind === 'directory' ? {store: pathToFileURL(location.path).href} : {...answers}
}

function notesOf(answers: Answers, location: StoreSettings, environment: Layer): string[] {
  const names = Object.keys(answers) as FieldName[]
  const louder = names.filter((name) => environment.values[name] !== undefined)
  const isPlain =
    location.kind === 's3' &&
    location.endpoint?.startsWith('http:') &&
    !isLoopback(new URL(location.endpoint))
  return [
    ...louder.map(
      (name) => `${environment.sourceOf(name)} is set and wins over the configuration file`,
    ),
    ...(location.kind === 's3' && answers.accessKeyId === undefined
      ? [
          'no credentials were written: they are taken from the environment or the AWS files each time',
        ]
      : []),
    ...(isPlain
      ? ['the endpoint is not encrypted: whoever is on the way can read what is stored']
      : []),
  ]
}
