import {DumontError} from '../errors.js'
import type {Layer} from './layers.js'
import type {FieldName, Values} from './schema.js'

/** Where the store is and how to get in, as `openStore` takes it. */
export type StoreSettings = DirectorySettings | S3Settings

export interface DirectorySettings {
  readonly kind: 'directory'
  /** Absolute. */
  readonly path: string
}

export interface S3Settings {
  readonly kind: 's3'
  readonly bucket: string
  readonly prefix: string
  readonly region: string
  readonly endpoint?: string
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** Where the credentials are from, for messages. */
  readonly credentialsFrom?: string
  readonly awsProfile?: string
}

const R2_HOST = 'r2.cloudflarestorage.com'

/** Puts together what several settings say of one store. Rejects with CONFIG where they contradict each other. */
export function locateStore(layer: Layer, standard: DirectorySettings): StoreSettings {
  const {store, awsProfile} = layer.values
  if (store === undefined || store.kind === 'directory') return store ?? standard
  const endpoint = endpointOf(layer)
  const credentials = credentialsOf(layer)
  return {
    ...store,
    region: regionOf(layer, endpoint),
    ...(endpoint !== undefined && {endpoint}),
    ...(credentials && {credentials, credentialsFrom: layer.sourceOf('secretAccessKey')}),
    ...(!credentials && awsProfile !== undefined && {awsProfile}),
  }
}

/** The endpoint of an R2 account; jurisdictions have hosts of their own. */
export function r2Endpoint(
  account: string,
  jurisdiction: NonNullable<Values['jurisdiction']> = 'default',
): string {
  const middle = jurisdiction === 'default' ? '' : `${jurisdiction}.`
  return `https://${account}.${middle}${R2_HOST}`
}

function endpointOf(layer: Layer): string | undefined {
  const {account, endpoint, jurisdiction} = layer.values
  if (account === undefined) return endpoint
  const r2 = r2Endpoint(account, jurisdiction)
  if (endpoint !== undefined && endpoint !== r2)
    throw new DumontError(
      'CONFIG',
      `${layer.sourceOf('endpoint')} and ${layer.sourceOf('account')} name different places`,
      {
        hint: `remove one of them; the account's endpoint is ${r2}`,
      },
    )
  return r2
}

/** R2 knows one region, whatever AWS_REGION says for AWS. */
function regionOf(layer: Layer, endpoint: string | undefined): string {
  const {region} = layer.values
  const isR2 = endpoint !== undefined && new URL(endpoint).hostname.endsWith(`.${R2_HOST}`)
  if (isR2)
    return region !== undefined && !layer.sourceOf('region').startsWith('AWS_') ? region : 'auto'
  return region ?? 'us-east-1'
}

function credentialsOf(layer: Layer): S3Settings['credentials'] {
  const {accessKeyId, secretAccessKey, sessionToken} = layer.values
  const lone = (there: FieldName, missing: string) =>
    new DumontError('CONFIG', `${layer.sourceOf(there)} is set, but ${missing} is not`, {
      hint: 'set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run dumont init',
    })
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined
  if (secretAccessKey === undefined) throw lone('accessKeyId', 'the secret access key')
  if (accessKeyId === undefined) throw lone('secretAccessKey', 'the access key id')
  return {accessKeyId, secretAccessKey, ...(sessionToken !== undefined && {sessionToken})}
}
