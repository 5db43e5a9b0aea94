import {expectedForm, type FieldName} from '../settings/schema.js'
import {bucketAddress} from '../settings/store-address.js'
import type {Answers} from './answers.js'

/** Ways to ask an operator; `check` answers true or what is wrong. */
export interface Interviewer {
  choose<T extends string>(
    question: string,
    choices: readonly {readonly value: T; readonly name: string}[],
  ): Promise<T>
  ask(
    question: string,
    options?: {readonly standard?: string; readonly check?: Check},
  ): Promise<string>
  askSecret(question: string): Promise<string>
}

export type Check = (answer: string) => string | true

/** Asks for what the flags left open; what they said is not asked again. */
export async function interview(
  given: Answers,
  standardDirectory: string,
  to: Interviewer,
): Promise<Answers> {
  const kind = kindOf(given) ?? (await to.choose('Where are snapshots to be kept?', KINDS))
  if (kind === 'directory')
    return {...given, store: given.store ?? (await askDirectory(standardDirectory, to))}
  const place = kind === 'r2' ? await askR2(given, to) : await askS3(given, to)
  const store = given.store ?? (await askBucket(to))
  return {...place, store, ...(await askKeys(place, kind, to))}
}

type Kind = 'directory' | 'r2' | 's3'

const KINDS = [
  {value: 'r2', name: 'Cloudflare R2'},
  {value: 's3', name: 'AWS S3, or another S3-compatible service'},
  {value: 'directory', name: 'a directory of this machine'},
] as const

function kindOf({account, endpoint, store}: Answers): Kind | undefined {
  if (account !== undefined) return 'r2'
  if (endpoint !== undefined) return 's3'
  if (store === undefined) return undefined
  return store.startsWith('s3:') ? 's3' : 'directory'
}

async function askDirectory(standard: string, to: Interviewer): Promise<string> {
  return to.ask('Directory', {standard, check: checkField('store')})
}

async function askBucket(to: Interviewer): Promise<string> {
  const bucket = await to.ask('Bucket', {
    check: (answer) => checkField('store')(bucketAddress(answer, '')),
  })
  const check = (answer: string) => checkField('store')(bucketAddress(bucket, answer))
  return bucketAddress(
    bucket,
    await to.ask('Prefix in the bucket (may be empty)', {standard: 'dumont', check}),
  )
}

async function askR2(given: Answers, to: Interviewer): Promise<Answers> {
  if (given.account !== undefined) return given
  const account = await to.ask('Cloudflare account id', {check: checkField('account')})
  const jurisdiction = await to.choose('Jurisdiction of the bucket', [
    {value: 'default', name: 'none'},
    {value: 'eu', name: 'European Union'},
    {value: 'fedramp', name: 'FedRAMP'},
  ])
  return {...given, account, ...(jurisdiction !== 'default' && {jurisdiction})}
}

async function askS3(given: Answers, to: Interviewer): Promise<Answers> {
  const endpoint =
    given.endpoint ??
    (await to.ask('Endpoint (empty for AWS)', {check: orEmpty(checkField('endpoint'))}))
  const region =
    given.region ??
    (endpoint === ''
      ? await to.ask('Region', {standard: 'us-east-1', check: checkField('region')})
      : '')
  return {...given, ...(endpoint !== '' && {endpoint}), ...(region !== '' && {region})}
}

async function askKeys(
  {accessKeyId, secretAccessKey}: Answers,
  kind: Kind,
  to: Interviewer,
): Promise<Answers> {
  const question =
    kind === 's3' ? 'Access key id (empty: the AWS files or environment)' : 'Access key id'
  const id =
    accessKeyId ?? (await to.ask(question, kind === 's3' ? {} : {check: checkField('accessKeyId')}))
  if (id === '') return {}
  return {
    accessKeyId: id,
    secretAccessKey: secretAccessKey ?? (await to.askSecret('Secret access key')),
  }
}

function checkField(name: FieldName): Check {
  return (answer) => {
    const expected = expectedForm(name, answer)
    return expected === undefined ? true : `must be ${expected}`
  }
}

function orEmpty(check: Check): Check {
  return (answer) => answer === '' || check(answer)
}
