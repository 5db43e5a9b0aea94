import {describe, expect, test} from '@jest/globals'
import type {HibernateOutcome} from '../../src/lib/instances/hibernate-request.js'
import type {Receipt} from '../../src/lib/instances/receipt-terms.js'
import {mintDestroyProof} from '../../src/lib/providers/destroy-proof.js'
import type {Instance} from '../../src/lib/providers/provider.js'
import {describeHibernate, endQuestion, hibernateAnswer} from '../../src/ui/describe-hibernate.js'

const WHOSE = {account: '4711', createdAt: 1, id: '12345', provider: 'vast'}
const RECEIPT: Receipt = {
  proof: mintDestroyProof({expiresAt: 9, instance: WHOSE, kind: 'receipt'}),
  bootId: 'boot',
  checks: [
    {
      by: 'operator',
      figures: {bytesRead: 5e6, packs: 3},
      rule: 'packs',
      what: 'every pack is there',
    },
    {
      by: 'box',
      figures: {allowedFiles: 9},
      paths: [{bytes: 1, files: 1, path: '/tmp/x', reason: 'temporary files'}],
      rule: 'census',
      what: 'nothing else has changed',
    },
  ],
  discarded: [],
  watched: {roots: ['/workspace'], since: 0, survives: []},
  expiresAt: 9,
  identity: {bootId: 'boot', by: 'environment', started: 1},
  instance: WHOSE,
  issuedAt: 1,
  manifestSha256: 'a',
  repositoryId: 'b',
  roots: ['/workspace'],
  snapshotId: '20261123T140200Z-k3f7qz',
  storeUrl: 's3://bucket',
}
const OUTCOME: HibernateOutcome = {
  goal: 'destroy',
  hourly: 0.5,
  instance: WHOSE,
  monthly: undefined,
  reasons: [],
  receipt: RECEIPT,
  seconds: 60,
  snapshot: {
    id: '20261123T140200Z-k3f7qz',
    label: 'train-a',
    lineage: 'l',
    provenAt: null,
    rawBytes: 2e9,
    sequence: 1,
    storedBytes: 1e9,
  },
  state: 'hibernated',
  stillHourly: 0,
  storagePerGBMonth: undefined,
  volumes: [],
}
const told = (changes: Partial<HibernateOutcome> = {}) =>
  describeHibernate({...OUTCOME, ...changes})

describe('what became of an instance', () => {
  test('that is gone says so, and how to wake it', () => {
    expect(told()).toMatch(/^vast:12345 is gone, and hibernated · 1 min/)
    expect(told()).toContain('dumont instance wake vast:12345')
  })

  test('that lives on says what it costs', () => {
    const text = told({goal: 'protect', state: 'protected', stillHourly: 0.5})
    expect(text).toContain('protected; it still runs for $0.500/h')
    expect(text).not.toContain('wake it')
  })

  test('that was to be ended and lives says why', () => {
    const text = told({
      reasons: ['its boot id changed'],
      state: 'protected',
      stillHourly: undefined,
    })
    expect(text).toContain('but not ended; it still runs for an unknown price')
    expect(text).toContain('NOT DONE  its boot id changed')
  })

  test('whose end cannot be seen yet is not called gone', () => {
    expect(told({state: 'destroy-unconfirmed'})).toMatch(/^vast:12345 is perhaps still there/)
  })

  test('names who checked what, and how much was read back', () => {
    expect(told()).toContain('packs   operator  every pack is there: 3 packs, 5.00 MB read back')
    expect(told()).toContain('census  box       nothing else has changed')
    expect(told()).toContain('1 places outside that nobody misses')
  })

  test('names what was given up, a few of many', () => {
    const discarded = Array.from({length: 12}, (_, index) => `/data/${index}`)
    const text = told({receipt: {...RECEIPT, discarded}})
    expect(text).toContain('given up  /data/9')
    expect(text).not.toContain('/data/10')
    expect(text).toContain('… and 2 more')
  })

  test('names disks that go on costing', () => {
    expect(told({volumes: ['vol-1']})).toContain('vol-1, and still billed')
  })

  test('lets no name of a vendor drive the terminal', () => {
    const instance = {...WHOSE, id: '1\u001B[2J'}
    const {rawBytes} = OUTCOME.snapshot
    const snapshot = {...OUTCOME.snapshot, label: 'a\u009B2J\nfake', rawBytes}
    // oxlint-disable-next-line no-control-regex -- it is what must not be there
    expect(told({instance, snapshot, volumes: ['\u001B]0;x']})).not.toMatch(/[\u001B\u009B]/u)
  })
})

test('the question names instance, snapshot, what it costs, and that the disk is gone', () => {
  const instance = {hourly: 0.5, id: '12345', spec: {gpuCount: 2, gpuName: 'H100'}} as Instance
  const question = {instance, receipt: RECEIPT, snapshot: OUTCOME.snapshot}
  expect(endQuestion({...question, goal: 'destroy'})).toBe(
    '20261123T140200Z-k3f7qz of train-a (2.00 GB) is proven by 2 checks and costs about $0.015 a month in the store. ' +
      'Its disk is gone for good. Destroy 12345 (2× H100, $0.500/h)?',
  )
  expect(endQuestion({...question, goal: 'stop'})).not.toContain('gone for good')
})

test('the JSON document has the receipt without the proof that ends instances', () => {
  const answer = hibernateAnswer(OUTCOME) as {receipt: object}
  expect(answer.receipt).toHaveProperty('checks')
  expect(answer.receipt).not.toHaveProperty('proof')
})
