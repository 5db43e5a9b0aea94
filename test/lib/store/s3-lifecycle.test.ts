import type {LifecycleRule} from '@aws-sdk/client-s3'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import {hostOf, lifecycleOf, lifecycleRefusal} from '../../../src/lib/store/s3-lifecycle.js'
import {openStore} from '../../../src/lib/store/open-store.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../../support/versitygw.js'

const BASE = 'team/dumont/'

function kept(rule: Partial<LifecycleRule>, base = BASE): boolean {
  return (
    lifecycleOf([{Expiration: {Days: 30}, ID: 'r', Status: 'Enabled', ...rule}], base).kind ===
    'kept'
  )
}

describe('a rule of the bucket', () => {
  test.each<[string, Partial<LifecycleRule>]>([
    ['of the whole bucket', {Filter: {Prefix: ''}}],
    ['without filter', {}],
    ['of a folder above', {Filter: {Prefix: 'team/'}}],
    ['of part of the name', {Filter: {Prefix: 'team/dum'}}],
    ['of a folder below', {Filter: {Prefix: 'team/dumont/packs/'}}],
    ['in the old spelling', {Prefix: 'team/'}],
    ['of sizes', {Filter: {And: {ObjectSizeGreaterThan: 1, Prefix: 'team/'}}}],
    ['at a date', {Expiration: {Date: new Date(0)}}],
    ['into deep archive', {Expiration: {}, Transitions: [{Days: 1, StorageClass: 'DEEP_ARCHIVE'}]}],
    ['of unknown status', {Status: undefined}],
  ])('%s harms', (_what, rule) => {
    expect(kept(rule)).toBe(false)
  })
  test.each<[string, Partial<LifecycleRule>]>([
    ['of another folder', {Filter: {Prefix: 'team/other/'}}],
    ['that is off', {Status: 'Disabled'}],
    ['for tagged objects', {Filter: {Tag: {Key: 'k', Value: 'v'}}}],
    [
      'for tagged objects of the folder',
      {Filter: {And: {Prefix: BASE, Tags: [{Key: 'k', Value: 'v'}]}}},
    ],
    [
      'about unfinished uploads',
      {AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}, Expiration: undefined},
    ],
    [
      'about old versions',
      {Expiration: undefined, NoncurrentVersionExpiration: {NoncurrentDays: 1}},
    ],
    [
      'into a class that is read at once',
      {Expiration: undefined, Transitions: [{StorageClass: 'STANDARD_IA'}]},
    ],
  ])('%s does not', (_what, rule) => {
    expect(kept(rule)).toBe(true)
  })
  test('is told by name, without control characters', () => {
    const rule = {Expiration: {Days: 3}, ID: 'a\u001Bb', Status: 'Enabled'} as const
    expect(lifecycleOf([rule], '')).toEqual({
      kind: 'expires',
      rules: [String.raw`a\u{1b}b: removed after 3 days`],
    })
  })
})

describe('a question that failed', () => {
  const refused = (name: string, status: number) =>
    lifecycleRefusal(Object.assign(new Error(name), {$metadata: {httpStatusCode: status}, name}))
      .kind
  test('means no rule only when the store says so', () => {
    expect(refused('NoSuchLifecycleConfiguration', 404)).toBe('kept')
    expect(refused('AccessDenied', 403)).toBe('unreadable')
    expect(refused('NotImplemented', 501)).toBe('unreadable')
  })
  test.each([
    ['SlowDown', 503],
    ['NoSuchBucket', 404],
  ])('by %s is left to who asked', (name, status) => {
    expect(() => refused(name, status)).toThrow(name)
  })
})

test('the server is named without port and brackets', () => {
  expect([hostOf('http://[::1]:90'), hostOf('https://a.example:9000/x')]).toEqual([
    '::1',
    'a.example',
  ])
})

const whereItIs = findVersitygw() === undefined ? describe.skip : describe

whereItIs('a real server', () => {
  let server: Versitygw
  beforeAll(async () => {
    server = await startVersitygw()
  })
  afterAll(() => server?.close())
  test('that cannot tell its rules is not taken to have none', async () => {
    const {accessKeyId, bucket, endpoint, region, secretAccessKey} = server
    const credentials = {accessKeyId, secretAccessKey}
    const location = {bucket, credentials, endpoint, kind: 's3', prefix: 'p', region} as const
    const store = await openStore(location, {clock: systemClock})
    const found = await store.endurance?.()
    await store.close()
    expect(found).toMatchObject({host: '127.0.0.1', kind: 'unreadable'})
  })
})
