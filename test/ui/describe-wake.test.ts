import {describe, expect, test} from '@jest/globals'
import type {InstanceSurvey} from '../../src/lib/instances/instance-survey.js'
import type {ListedInstance} from '../../src/lib/instances/instance-list.js'
import type {WakePlan, WakeResult, Woken} from '../../src/lib/instances/wake-request.js'
import {describeInstances} from '../../src/ui/describe-instances.js'
import {describeWake, rentQuestion} from '../../src/ui/describe-wake.js'

const MACHINE: Woken = {
  because: 'Cheapest in all.',
  endpoint: {host: '203.0.113.9', port: 40001, user: 'root', via: 'direct'},
  hookFailure: undefined,
  host: 'root@203.0.113.9:40001',
  hourly: 0.41,
  instance: {account: '4711', id: '77', provider: 'vast'},
  label: 'dumont-a-1',
  machine: '101',
  market: {kind: 'on-demand'},
  name: 'train-a',
  restored: undefined,
  seconds: {boot: 40, restore: 7},
}
const RESULT: WakeResult = {
  failures: [],
  kind: 'woken',
  leaks: [],
  machines: [MACHINE],
  seconds: 50,
  snapshot: '20261123T140200Z-k3f7qz',
  wasted: 0,
}
const PLAN: WakePlan = {
  count: 1,
  estimate: 0.05,
  maxHourly: 0.5,
  maxSpend: 2,
  offers: [
    {
      because: 'Cheapest in all.',
      minutesToReady: 4.2,
      offer: {
        downCostPerGB: 0,
        downMbps: 900,
        hourly: 0.41,
        id: '101',
        machine: '9',
        reliability: 0.99,
        spec: {
          diskGB: 100,
          envNames: [],
          gpuCount: 1,
          gpuMemoryMB: 0,
          gpuName: 'RTX 4090',
          market: {kind: 'on-demand'},
          ports: [],
        },
        storagePerGBMonth: 0.1,
        upCostPerGB: 0,
        upMbps: 600,
      },
      total: 3,
    },
  ],
  snapshot: '20261123T140200Z-k3f7qz',
  unfit: 2,
}
const told = (changes: Partial<WakeResult> = {}) =>
  describeWake({...RESULT, ...changes}, (provider, id) => `/state/${provider}-${id}`)

describe('a machine that is ready', () => {
  test('has its price, its times, and a command that knows its key', () => {
    expect(told()).toContain('vast:77 is ready for $0.410/h')
    expect(told()).toContain('ssh -p 40001 -o UserKnownHostsFile=/state/vast-77 root@203.0.113.9')
    expect(told()).toContain('boot 40 s · restore 7.0 s')
  })

  test('of the operator’s own is reached as they reach it', () => {
    const machine = {...MACHINE, endpoint: undefined, host: 'gpu2', hourly: undefined}
    expect(told({kind: 'restored', machines: [machine]})).toMatch(/^gpu2 is ready\nssh +ssh gpu2\n/)
  })

  test('whose hook failed says so', () => {
    const machine = {...MACHINE, hookFailure: 'the ready hook ended with 1'}
    expect(told({machines: [machine]})).toContain(
      'NOT DONE  ready hook: the ready hook ended with 1',
    )
  })
})

test('what is missing and what may be billed is named', () => {
  const leak = {
    account: '4711',
    hourly: undefined,
    id: undefined,
    label: 'dumont-a-2',
    provider: 'vast',
    why: 'nobody heard',
  }
  const text = told({failures: ['no offer left'], leaks: [leak], wasted: 0.02})
  expect(text).toContain('MISSING   no offer left')
  expect(text).toContain(
    'BILLED?   perhaps a machine labelled dumont-a-2, an unknown price: nobody heard',
  )
  expect(text).toContain('about $0.020 for machines that were given back')
})

test('a dry run shows the offers, why, and what does not fit', () => {
  const text = told({kind: 'planned', machines: [], plan: PLAN})
  expect(text).toMatch(/^dry run: nothing was rented; 1 of 1 offers/)
  expect(text).toMatch(/101 +1× RTX 4090 \(machine 9\) +0\.410 +5 min +Cheapest/)
  expect(text).toContain('2 more do not fit')
})

test('the question names the machine, its price, and the most it may cost', () => {
  expect(rentQuestion(PLAN)).toBe(
    'Rent 1× RTX 4090 (machine 9) for $0.410/h? Until all is ready that is about $0.050 (at most $2.00). Cheapest in all.',
  )
})

describe('the list of instances', () => {
  const HOUR = 3_600_000
  const LISTED: ListedInstance = {
    account: '4711',
    ageMs: 30 * HOUR,
    gpu: 'H100 SXM',
    gpuCount: 8,
    hourly: 12.5,
    id: '77',
    label: 'train-a',
    monthly: undefined,
    provider: 'vast',
    snapshot: undefined,
    state: 'running',
    unprotected: 'everything',
    waking: [],
  }
  const list = (changes: Partial<ListedInstance>) => {
    const survey: InstanceSurvey = {failures: [], instances: [{...LISTED, ...changes}], leaks: []}
    return describeInstances(survey, 100 * HOUR).split('\n')[1]
  }

  test('tells of one that runs what it costs and what is unprotected', () => {
    expect(list({})).toMatch(
      /^vast:77 +train-a +running +8× H100 SXM +30 h +\$12\.50\/h +never +everything$/,
    )
  })

  test('tells of one that sleeps what its snapshot costs and how old it is', () => {
    const snapshot = {id: 's', takenAt: 28 * HOUR}
    const asleep = {gpuCount: 1, hourly: undefined, monthly: 0.05, snapshot, unprotected: undefined}
    expect(list({...asleep, state: 'hibernated'})).toMatch(
      /hibernated +H100 SXM +30 h +\$0\.050\/mo +3 d ago +-$/,
    )
  })

  test('names what is being woken from it', () => {
    expect(list({waking: ['dumont-a-1']})).toContain('running, waking as dumont-a-1')
  })

  test('shows nothing for none', () => {
    expect(describeInstances({failures: [], instances: [], leaks: []}, 0)).toBe('')
  })
})
