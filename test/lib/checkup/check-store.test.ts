import {describe, expect, test} from '@jest/globals'
import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {checkStore} from '../../../src/lib/checkup/check-store.js'
import {exitCodeOfFindings, type Finding} from '../../../src/lib/checkup/finding.js'
import {DumontError} from '../../../src/lib/errors.js'
import {DirectoryStore} from '../../../src/lib/store/directory-store.js'
import {openRepository} from '../../../src/lib/store/repository.js'
import type {Endurance, Store} from '../../../src/lib/store/store.js'
import {ShiftedClock} from '../../support/shifted-clock.js'

/** A clock on which a wait is over at once, and has passed. */
class PassingClock extends ShiftedClock {
  override async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    await super.sleep(milliseconds, signal)
    this.shift += milliseconds
  }
}

const clock = new PassingClock()

const stateOf = (findings: readonly Finding[], name: string) =>
  findings.find(({what}) => what === name)?.state

/** A directory store that behaves differently in one respect. */
async function withStore(
  change: (store: Store) => Partial<Store>,
  work: (store: Store, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'dumont-doctor-'))
  const store = await DirectoryStore.open(join(folder, 'store'), {clock})
  try {
    const changed = change(store)
    const seen = new Proxy<Store>(store, {
      get: (target, name) => {
        const own = Reflect.get(name in changed ? changed : target, name) as unknown
        return typeof own === 'function' ? own.bind(target) : own
      },
    })
    await work(seen, folder)
  } finally {
    await store.close()
    await rm(folder, {recursive: true})
  }
}

describe('a look at a store', () => {
  test('finds nothing wrong with a good one, and leaves nothing behind', () =>
    withStore(
      () => ({}),
      async (store, folder) => {
        await openRepository(store, {create: true})
        const findings = await checkStore(store, clock)
        expect(findings.map(({state, what}) => [what, state])).toEqual([
          ['store', 'good'],
          ['uploads', 'good'],
          ['signed URLs', 'good'],
          ['clock', 'good'],
        ])
        expect(exitCodeOfFindings(findings)).toBe(0)
        const left = await readdir(join(folder, 'store'), {recursive: true, withFileTypes: true})
        expect(left.filter((entry) => entry.isFile()).map(({name}) => name)).toEqual([
          'dumont.json',
        ])
      },
    ))

  test('does not make a directory that no snapshot has made', () =>
    withStore(
      () => ({}),
      async (store, folder) => {
        const findings = await checkStore(store, clock)
        expect(stateOf(findings, 'store')).toBe('note')
        expect(await readdir(folder)).toEqual([])
      },
    ))

  test('tells of one that cannot be reached, with the remedy and the exit code of a command', () =>
    withStore(
      () => ({
        list: () => {
          throw new DumontError('UNREACHABLE', 'no route', {hint: 'look at the network'})
        },
      }),
      async (store) => {
        const findings = await checkStore(store, clock)
        expect(findings).toEqual([
          {
            exitCode: 69,
            message: 'no route',
            remedy: 'look at the network',
            state: 'bad',
            what: 'store',
          },
        ])
        expect(exitCodeOfFindings(findings)).toBe(69)
      },
    ))

  test('tells of one that overwrites', () =>
    withStore(
      (store) => ({
        put: async (key, body) => store.put(key, body, {onlyIfAbsent: false}),
        reach: 'direct',
      }),
      async (store) => {
        const findings = await checkStore(store, clock)
        expect(stateOf(findings, 'uploads')).toBe('bad')
        expect(exitCodeOfFindings(findings)).toBe(78)
      },
    ))

  test('tells of a clock that is apart', () =>
    withStore(
      () => ({now: async () => Date.now() + 120_000}),
      async (store) => {
        expect(stateOf(await checkStore(store, clock), 'clock')).toBe('note')
      },
    ))

  test.each<[Endurance, string]>([
    [{kind: 'kept'}, 'good'],
    [{kind: 'unreadable', reason: 'AccessDenied'}, 'note'],
    [{kind: 'expires', rules: ['expires after 30 days']}, 'bad'],
  ])('tells of rules of the bucket: %j is %s', (endurance, state) =>
    withStore(
      () => ({endurance: async () => endurance}),
      async (store) => {
        expect(stateOf(await checkStore(store, clock), 'lifecycle')).toBe(state)
      },
    ),
  )

  test('does not take a bug for a finding', () =>
    withStore(
      () => ({
        now: async () => {
          throw new TypeError('not a function')
        },
      }),
      async (store) => {
        await expect(checkStore(store, clock)).rejects.toThrow('not a function')
      },
    ))
})
