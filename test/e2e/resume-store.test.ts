import {afterAll, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {minutes} from '../robustness/long-run.js'
import {familyOf, whoStays} from '../robustness/processes.js'
import type {Fault} from '../support/faulty-proxy.js'
import {findVersitygw} from '../support/versitygw.js'
import {Accidents} from './accident.js'
import {answered, dumont} from './dumont.js'

const whereS3Is = findVersitygw() ? describe : describe.skip
const whenLong = minutes() > 0 ? test : test.skip

whereS3Is('while the store fails', () => {
  let accidents: Accidents
  beforeAll(async () => {
    accidents = await Accidents.open()
  })
  beforeEach(() => accidents.next())
  afterAll(() => accidents.close())

  const seen = (kind: Fault['kind']) =>
    accidents.proxy.requests.filter(({fault}) => fault === kind).length

  test.each<[string, Fault]>([
    ['URLs that have expired', {kind: 'status', status: 403, code: 'ExpiredToken'}],
    ['a store that says to slow down', {kind: 'status', status: 503, code: 'SlowDown'}],
    ['a store that counts requests', {kind: 'status', status: 429, code: 'TooManyRequests'}],
    ['a store that fails', {kind: 'status', status: 500, code: 'InternalError'}],
    ['connections that are reset', {kind: 'cut-request', afterBytes: 100_000}],
  ])('a create needs no second run for %s', async (_what, fault) => {
    accidents.proxy.inject({fault, method: 'PUT', path: /\/packs\//u, skip: 1, times: 4})
    const done = await answered(accidents.create, accidents.surroundings)
    expect(done).toMatchObject({code: 0})
    expect(seen(fault.kind)).toBe(4)
    const verify = ['snapshot', 'verify', done.id, ...accidents.store, '--level', 'stored']
    expect(await dumont(verify, accidents.surroundings)).toMatchObject({code: 0})
    expect(await readdir(accidents.temporary)).toEqual([])
  })

  test('a create goes on where a laptop slept until all its URLs had expired', async () => {
    const running = await accidents.standing()
    process.kill(running.child.pid ?? 0, 'SIGSTOP')
    // While it sleeps an hour passes for the store: whatever was signed until now is of no use.
    const dates = accidents.proxy.requests.flatMap(({path}) => /X-Amz-Date=\w+/u.exec(path) ?? [])
    accidents.proxy.clear()
    accidents.proxy.inject({
      fault: {kind: 'status', status: 403, code: 'AccessDenied', message: 'Request has expired'},
      path: new RegExp([...new Set(dates)].join('|'), 'u'),
      times: Number.POSITIVE_INFINITY,
    })
    // What is signed next has another date, to the second, by the clock of the store.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    process.kill(running.child.pid ?? 0, 'SIGCONT')
    await accidents.completes(running)
    expect(seen('status')).toBeGreaterThan(0)
    accidents.sentNothingTwice()
    await accidents.isWhole(await accidents.newest())
  })

  test('a create whose laptop slept until its box had given up completes when it is run again', async () => {
    const running = await accidents.standing()
    const family = familyOf(running.child.pid ?? 0)
    process.kill(running.child.pid ?? 0, 'SIGSTOP')
    for (const pid of family.slice(1)) process.kill(pid, 'SIGTERM')
    process.kill(running.child.pid ?? 0, 'SIGCONT')
    expect((await running.ended).code).not.toBe(0)
    expect(await whoStays(family)).toEqual([])
    await accidents.goesOn()
  })

  describe('a restore needs no second run for', () => {
    let snapshot: string
    let store: readonly string[]
    beforeAll(async () => {
      accidents.next()
      ;({store} = accidents)
      ;({id: snapshot} = await answered(accidents.create, accidents.surroundings))
    })

    test.each<[string, Fault]>([
      ['bodies that end early', {kind: 'truncate-body', afterBytes: 100_000}],
      ['bodies with a wrong byte', {kind: 'corrupt-body', at: 100_000}],
      ['resets', {kind: 'drop-response'}],
      ['a store that fails', {kind: 'status', status: 500, code: 'InternalError'}],
    ])('%s', async (what, fault) => {
      accidents.proxy.inject({fault, method: 'GET', path: /\/packs\//u, skip: 1, times: 4})
      const target = join(accidents.folder, what)
      const where = ['--host', 'local', ...store, '--target', target]
      const restored = await answered(
        ['snapshot', 'restore', snapshot, ...where],
        accidents.surroundings,
      )
      expect(restored).toMatchObject({code: 0})
      expect(seen(fault.kind)).toBe(4)
      expect(await accidents.differencesIn(target)).toEqual([])
      await rm(target, {recursive: true})
    })
  })

  // As long as it takes a command to give up; the worker's tests do the same on a clock of their own.
  whenLong.each<[string, Fault]>([
    ['is too busy', {kind: 'status', status: 503, code: 'SlowDown'}],
    ['fails', {kind: 'status', status: 500, code: 'InternalError'}],
    ['resets connections', {kind: 'cut-request', afterBytes: 0}],
  ])(
    'a create that gave up while the store %s for minutes completes later',
    async (_what, fault) => {
      const running = await accidents.standing()
      const family = familyOf(running.child.pid ?? 0)
      accidents.proxy.clear()
      accidents.proxy.inject({fault, times: Number.POSITIVE_INFINITY})
      expect([69, 75]).toContain((await running.ended).code)
      expect(await whoStays(family)).toEqual([])
      await accidents.goesOn()
    },
  )
})
