import {describe, expect, test} from '@jest/globals'
import {
  firstFacts,
  nextHibernateStep,
  type HibernateFacts,
} from '../../../src/lib/instances/hibernate-facts.js'
import {bootVerdict, BOOT_MS} from '../../../src/lib/instances/wake-boot.js'
import {decideWake, type WakeSituation} from '../../../src/lib/instances/wake-decision.js'
import {freshFacts, nextWakeStep, type WakeFacts} from '../../../src/lib/instances/wake-facts.js'
import {goneInstance} from '../../../src/lib/providers/gone-instance.js'
import type {Phase} from '../../../src/lib/providers/provider.js'

const begun = (changes: Partial<HibernateFacts> = {}): HibernateFacts => ({
  ...firstFacts({
    found: undefined,
    freezes: false,
    goal: 'destroy',
    hasPreHook: false,
    phase: 'running',
  }),
  ...changes,
})

describe('the next step of a hibernate', () => {
  test('follows the whole way in order', () => {
    const way: string[] = []
    const adds: Record<string, Partial<HibernateFacts>> = {
      identify: {identified: true},
      'pre-hook': {hooked: true},
      still: {still: true},
      snapshot: {taken: true},
      freeze: {frozen: true},
      rescan: {quiet: true},
      prove: {proven: true},
      record: {protected: true},
      ask: {agreed: true},
      announce: {announced: true},
      recheck: {rechecked: true},
      end: {asked: true},
      conclude: {concluded: true},
    }
    let facts = begun({hasPreHook: true, freezes: true})
    for (let step = nextHibernateStep(facts); step !== 'done'; step = nextHibernateStep(facts)) {
      way.push(step)
      facts = {...facts, ...adds[step]}
    }
    expect(way).toEqual(Object.keys(adds))
  })

  test('is never an end before proof, record, word and second look', () => {
    const flags = [
      'identified',
      'still',
      'taken',
      'quiet',
      'proven',
      'protected',
      'announced',
      'rechecked',
    ] as const
    for (let bits = 0; bits < 2 ** flags.length; bits += 1) {
      const set = Object.fromEntries(flags.map((flag, bit) => [flag, (bits & (2 ** bit)) !== 0]))
      for (const agreed of [undefined, false, true]) {
        const facts = begun({...set, agreed})
        if (nextHibernateStep(facts) === 'end')
          expect([agreed, ...flags.map((flag) => facts[flag])]).toEqual(Array(9).fill(true))
      }
    }
  })

  test.each<readonly [Phase, HibernateFacts['found'], HibernateFacts['goal'], string]>([
    ['gone', 'destroying', 'destroy', 'settle'],
    ['gone', 'destroy-unconfirmed', 'protect', 'settle'],
    ['gone', 'hibernated', 'destroy', 'done'],
    ['gone', 'protected', 'destroy', 'refuse'],
    ['gone', undefined, 'destroy', 'refuse'],
    ['stopped', 'stopped', 'stop', 'done'],
    ['stopped', 'protected', 'destroy', 'refuse'],
    ['interrupted', undefined, 'destroy', 'refuse'],
    ['unreachable', undefined, 'protect', 'refuse'],
    ['running', 'destroying', 'destroy', 'identify'],
    ['running', 'hibernated', 'destroy', 'identify'],
  ])('of one that is %s and %s, for %s, is %s', (phase, found, goal, step) => {
    expect(nextHibernateStep(begun({phase, found, goal}))).toBe(step)
  })
})

describe('the next step of a wake', () => {
  const facts = (changes: Partial<WakeFacts>): WakeFacts => ({...freshFacts(0), ...changes})

  test.each<readonly [Partial<WakeFacts>, string]>([
    [{}, 'choose'],
    [{offer: 'exhausted'}, 'give-up'],
    [{offer: 'chosen'}, 'claim'],
    [{offer: 'chosen', claimed: true}, 'create'],
    [{offer: 'chosen', claimed: true, contract: 'unheard'}, 'settle'],
    [{offer: 'chosen', claimed: true, contract: 'unsettled'}, 'forget'],
    [{offer: 'chosen', claimed: true, contract: 'refused'}, 'forget'],
    [{contract: 'made'}, 'await'],
    [{contract: 'made', failed: 'x'}, 'discard'],
    [{contract: 'made', failed: 'x', rounds: 3}, 'discard'],
    [{contract: 'made', failed: 'x', leaked: true}, 'give-up'],
    [{rounds: 3}, 'give-up'],
    [{contract: 'made', restored: true}, 'await'],
    [{contract: 'made', running: true, fits: true, reached: true, provisioned: true}, 'restore'],
    [{handedOver: true}, 'done'],
  ])('after %j is %s', (changes, step) => {
    expect(nextWakeStep(facts(changes))).toBe(step)
  })
})

describe('whether there may be a copy', () => {
  const situation = (changes: Partial<WakeSituation>): WakeSituation => ({
    id: '12',
    state: 'hibernated',
    phase: 'gone',
    fork: false,
    named: false,
    newer: undefined,
    alive: [],
    ...changes,
  })

  test.each<readonly [Partial<WakeSituation>, string]>([
    [{}, 'rent'],
    [{state: undefined, phase: undefined}, 'rent'],
    [{state: 'protected'}, 'confirm'],
    [{state: 'destroy-unconfirmed'}, 'confirm'],
    [{state: 'stopped', phase: 'stopped'}, 'start'],
    [{state: 'protected', phase: 'interrupted', newer: 'x'}, 'start'],
    [{phase: 'running', fork: true, named: true}, 'rent'],
  ])('%j: %s', (changes, decision) => {
    expect(decideWake(situation(changes))).toBe(decision)
  })

  test.each<readonly [Partial<WakeSituation>, string]>([
    [{phase: 'running'}, 'INSTANCE_BUSY'],
    [{phase: 'starting'}, 'INSTANCE_BUSY'],
    [{phase: 'unreachable'}, 'INSTANCE_BUSY'],
    [{phase: 'unknown'}, 'INSTANCE_BUSY'],
    [{newer: '20261123T140200Z-aaaaaa'}, 'INSTANCE_BUSY'],
    [{alive: ['vast:13']}, 'INSTANCE_BUSY'],
    [{state: 'protected', phase: undefined}, 'INSTANCE_BUSY'],
    [{fork: true}, 'USAGE'],
  ])('%j is refused', (changes, code) => {
    expect(() => decideWake(situation(changes))).toThrow(expect.objectContaining({code}))
  })
})

describe('waiting for a machine', () => {
  const verdict = (
    phase: Phase,
    since: number,
    more: {message?: string; lostFor?: number; state?: string} = {},
  ) =>
    bootVerdict({
      instance: {...goneInstance('1', more.state ?? phase), phase, message: more.message},
      since,
      lostFor: more.lostFor ?? 0,
      wasSeen: true,
    }).kind

  test.each<readonly [Phase, number, Parameters<typeof verdict>[2], string]>([
    ['running', 1, {}, 'running'],
    ['starting', BOOT_MS - 1, {}, 'wait'],
    ['starting', BOOT_MS + 1, {}, 'failed'],
    ['starting', 1, {message: 'OCI runtime create failed'}, 'failed'],
    ['starting', 1, {message: 'pulling from vastai/base'}, 'wait'],
    ['provisioning', 60_000, {state: ''}, 'wait'],
    ['provisioning', 130_000, {state: ''}, 'failed'],
    ['stopped', 1, {}, 'failed'],
    ['interrupted', 1, {}, 'failed'],
    ['failed', 1, {}, 'failed'],
    ['gone', 1, {}, 'failed'],
    ['unreachable', 1, {lostFor: 1}, 'wait'],
    ['unreachable', 1, {lostFor: 130_000}, 'failed'],
    ['unknown', 1, {}, 'wait'],
  ])('%s after %i ms %j: %s', (phase, since, more, kind) => {
    expect(verdict(phase, since, more)).toBe(kind)
  })

  test('a machine that was never shown may take three minutes to be', () => {
    const sight = {instance: goneInstance('1'), lostFor: 0, wasSeen: false}
    expect(bootVerdict({...sight, since: 170_000}).kind).toBe('wait')
    expect(bootVerdict({...sight, since: 190_000}).kind).toBe('failed')
  })
})
