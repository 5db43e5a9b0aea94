import {describe, expect, test} from '@jest/globals'
import type {JournalEntry} from '../../../src/lib/instances/journal.js'
import {stillbornProof} from '../../../src/lib/instances/stillborn.js'
import {proves} from '../../../src/lib/providers/destroy-proof.js'
import type {Instance} from '../../../src/lib/providers/provider.js'

const NOW = 1_795_000_000_000

function entry(event: JournalEntry['event'], changes: Partial<JournalEntry> = {}): JournalEntry {
  return {
    account: 'me',
    at: NOW,
    event,
    id: '77',
    label: 'dumont-w-x',
    provider: 'vast',
    ...changes,
  }
}

function proof(entries: readonly JournalEntry[], changes: Partial<Instance> = {}) {
  const instance = {createdAt: NOW + 1000, id: '77', label: undefined, ...changes} as Instance
  return stillbornProof({account: 'me', entries, instance, provider: 'vast'}, NOW)
}

const CREATING = entry('creating', {id: null})

describe('the proof that an instance never held anything', () => {
  test('is given for one that this machine created and that no restore was completed on', () => {
    const given = proof([CREATING, entry('created'), entry('restoring')])
    expect(given.kind).toBe('stillborn')
    expect(proves(given, {id: '77', provider: 'vast'}, NOW)).toBe(true)
    expect(proves(given, {id: '78', provider: 'vast'}, NOW)).toBe(false)
  })
  test('is given by the label alone when nobody heard the answer to the create', () => {
    expect(proof([CREATING], {label: 'dumont-w-x'}).kind).toBe('stillborn')
  })
  test.each([
    ['an empty journal', [], {}],
    ['one that begins otherwise', [entry('created')], {}],
    ['neither id nor label', [CREATING], {}],
    ['a label of somebody else', [CREATING], {label: 'dumont-w-y'}],
    ['a restore that was completed', [CREATING, entry('created'), entry('restored')], {}],
    ['one that was handed over', [CREATING, entry('created'), entry('handed-over')], {}],
    ['entries of another instance', [CREATING, entry('created', {id: '78'})], {}],
    ['entries of another account', [CREATING, entry('created', {account: 'you'})], {}],
    ['entries of another vendor', [CREATING, entry('created', {provider: 'lambda'})], {}],
    ['one that was there before', [CREATING, entry('created')], {createdAt: NOW - 3_600_000}],
  ] as const)('is refused for %s', (_what, entries, changes) => {
    expect(() => proof(entries, changes)).toThrow(/may hold something/)
  })
})
