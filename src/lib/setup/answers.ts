import {DumontError} from '../errors.js'
import type {Values} from '../settings/schema.js'
import {bucketAddress} from '../settings/store-address.js'

/** What the configuration file is to say of a store, in its own words and key names. */
export interface Answers {
  readonly store?: string
  readonly endpoint?: string
  readonly region?: string
  /** R2 account id. */
  readonly account?: string
  readonly jurisdiction?: NonNullable<Values['jurisdiction']>
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
}

export interface InitFlags {
  readonly store?: string | undefined
  readonly bucket?: string | undefined
  readonly prefix?: string | undefined
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly 'r2-account'?: string | undefined
  readonly jurisdiction?: string | undefined
  readonly 'access-key-id'?: string | undefined
}

/** The flags of `dumont init` as answers. Rejects with USAGE where two of them say different things. */
export function answersOf(flags: InitFlags, secretAccessKey: string | undefined): Answers {
  const store = storeOf(flags)
  const {endpoint, region, jurisdiction} = flags
  const account = flags['r2-account']
  const accessKeyId = flags['access-key-id']
  if (account !== undefined && endpoint !== undefined)
    throw new DumontError(
      'USAGE',
      '--r2-account and --endpoint both name a place; give one of them',
    )
  if (jurisdiction !== undefined && account === undefined)
    throw new DumontError('USAGE', '--jurisdiction belongs to --r2-account')
  return {
    ...(store !== undefined && {store}),
    ...(endpoint !== undefined && {endpoint}),
    ...(region !== undefined && {region}),
    ...(account !== undefined && {account}),
    ...(jurisdiction !== undefined && {
      jurisdiction: jurisdiction as NonNullable<Values['jurisdiction']>,
    }),
    ...(accessKeyId !== undefined && {accessKeyId}),
    ...(accessKeyId !== undefined && secretAccessKey !== undefined && {secretAccessKey}),
  }
}

function storeOf({store, bucket, prefix}: InitFlags): string | undefined {
  if (bucket === undefined) {
    if (prefix !== undefined) throw new DumontError('USAGE', '--prefix belongs to --bucket')
    return store
  }
  if (store !== undefined)
    throw new DumontError('USAGE', '--store and --bucket both name a store; give one of them')
  return bucketAddress(bucket, prefix ?? '')
}
