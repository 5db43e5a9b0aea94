import {describe, expect, test} from '@jest/globals'
import type {CommandOutcome} from '../../../src/lib/providers/operator-command.js'
import {type OwnInstance, SshProvider} from '../../../src/lib/providers/ssh-provider.js'
import {ManualClock} from '../../support/manual-clock.js'
import {proofFor} from '../../support/vendor-proof.js'

const LAB: OwnInstance = {
  host: 'me@lab.example:2222',
  exists: 'ask',
  start: 'up',
  stop: 'halt',
  destroy: 'end',
}

describe('a machine of the operator', () => {
  const clock = new ManualClock()
  const proof = proofFor('ssh', 'lab', clock.now())
  /** What each line says in place of running. */
  const open = (instance: OwnInstance, says: Record<string, Partial<CommandOutcome>> = {}) => {
    const ran: (readonly [string, unknown])[] = []
    const provider = new SshProvider({
      instances: {lab: instance},
      clock,
      run: async (line, data) => {
        ran.push([line, data])
        return {code: 0, timedOut: false, stdout: '', stderr: '', ...says[line]}
      },
    })
    return {provider, ran}
  }

  describe('is', () => {
    test.each(['running', 'stopped', 'gone'] as const)(
      '%s when its command says so',
      async (word) => {
        const {provider, ran} = open(LAB, {ask: {stdout: ` ${word}\n`}})
        expect(await provider.get('lab')).toMatchObject({
          id: 'lab',
          label: 'lab',
          phase: word,
          state: word,
        })
        expect(ran).toEqual([['ask', {operation: 'exists', name: 'lab', host: LAB.host}]])
      },
    )

    test.each<[string, Partial<CommandOutcome>]>([
      ['fails', {code: 1, stdout: 'gone'}],
      ['is killed', {code: undefined, stdout: 'gone'}],
      ['takes too long', {code: undefined, timedOut: true, stdout: 'gone'}],
      ['says nothing', {}],
      ['says something else', {stdout: 'not gone'}],
      ['says two things', {stdout: 'gone\nrunning'}],
      ['says a word every object knows', {stdout: 'constructor'}],
    ])('neither here nor gone when its command %s', async (_, outcome) => {
      const {provider} = open(LAB, {ask: outcome})
      await expect(provider.get('lab')).rejects.toMatchObject({failure: 'PROTOCOL'})
      await expect(provider.list()).rejects.toMatchObject({failure: 'PROTOCOL'})
    })

    test('unknown without a command, with the way in', async () => {
      const {provider, ran} = open({host: 'lab'})
      expect(await provider.get('lab')).toMatchObject({
        phase: 'unknown',
        endpoints: [{host: 'lab', port: 22, user: 'root', via: 'direct', address: 'lab'}],
      })
      expect(ran).toEqual([])
    })

    test('gone when the configuration does not name it', async () => {
      const {provider} = open(LAB)
      expect(await provider.get('other')).toMatchObject({phase: 'gone'})
      expect(await provider.get('constructor')).toMatchObject({phase: 'gone'})
    })

    test.each([
      ['lab', {host: 'lab', port: 22, user: 'root'}],
      ['me@lab:2222', {host: 'lab', port: 2222, user: 'me'}],
      ['[2001:db8::1]:2222', {host: '2001:db8::1', port: 2222, user: 'root'}],
      ['2001:db8::1', {host: '2001:db8::1', port: 22, user: 'root'}],
      ['ssh://me@lab', {host: 'lab', port: 22, user: 'me'}],
    ])('reached at %s', async (host, endpoint) => {
      const {provider} = open({host})
      expect((await provider.get('lab')).endpoints).toEqual([
        {...endpoint, via: 'direct', address: host},
      ])
    })

    test('listed, all or by name', async () => {
      const {provider} = open(LAB, {ask: {stdout: 'running'}})
      expect(await provider.list()).toHaveLength(1)
      expect(await provider.list({label: 'lab'})).toHaveLength(1)
      expect(await provider.list({label: 'other'})).toEqual([])
    })
  })

  describe('can', () => {
    test.each<[string, OwnInstance, object]>([
      ['all that is configured', LAB, {stop: true, destroy: true}],
      ['nothing without commands', {host: 'lab'}, {stop: false, destroy: false}],
      [
        'not be destroyed when nothing tells whether it is gone',
        {host: 'lab', destroy: 'end'},
        {destroy: false},
      ],
    ])('be stopped and destroyed: %s', (_, instance, expected) => {
      const {capabilities} = open(instance).provider
      expect(capabilities).toMatchObject({
        ...expected,
        search: false,
        create: false,
        stopWipes: true,
      })
    })

    test('be started, stopped and destroyed by its commands, which learn of it by JSON', async () => {
      const {provider, ran} = open(LAB)
      await provider.start('lab')
      await provider.stop('lab', proof)
      await provider.destroy('lab', proof)
      expect(ran).toEqual(
        [
          ['up', 'start'],
          ['halt', 'stop'],
          ['end', 'destroy'],
        ].map(([line, operation]) => [line, {operation, name: 'lab', host: LAB.host}]),
      )
    })

    test('not be stopped or destroyed without proof', async () => {
      const {provider, ran} = open(LAB)
      const others = [
        {...proof},
        proofFor('vast', 'lab', clock.now()),
        proofFor('ssh', 'other', clock.now()),
      ]
      for (const wrong of others) {
        await expect(provider.stop('lab', wrong)).rejects.toMatchObject({failure: 'UNPROVEN'})
        await expect(provider.destroy('lab', wrong)).rejects.toMatchObject({failure: 'UNPROVEN'})
      }
      await expect(provider.stop('lab', undefined)).rejects.toMatchObject({failure: 'UNPROVEN'})
      expect(ran).toEqual([])
    })

    test.each([
      ['start', {host: 'lab'}, 'lab'],
      ['stop', {host: 'lab'}, 'lab'],
      ['destroy', {host: 'lab'}, 'lab'],
      ['destroy', {host: 'lab', destroy: 'end'}, 'lab'],
      ['destroy', LAB, 'other'],
    ] as const)('not %s with %j for %s', async (operation, instance, id) => {
      const {provider, ran} = open(instance)
      await expect(
        provider[operation](id, proofFor('ssh', id, clock.now()) as never),
      ).rejects.toMatchObject({
        failure: 'INVALID',
      })
      expect(ran).toEqual([])
    })

    test.each<[string, Partial<CommandOutcome>, RegExp]>([
      ['fails', {code: 3, stderr: 'first\nno such machine\n'}, /ended with 3: no such machine$/],
      ['is killed', {code: undefined}, /ended with a signal$/],
      ['takes too long', {code: undefined, timedOut: true}, /took too long$/],
      ['tells a secret', {code: 1, stderr: 'api_key=hushhush \u001B[31m'}, /api_key=… \\u\{1b\}/],
    ])('be in an open state when a command %s', async (_, outcome, words) => {
      const {provider} = open(LAB, {end: outcome})
      await expect(provider.destroy('lab', proof)).rejects.toMatchObject({
        failure: 'AMBIGUOUS',
        message: expect.stringMatching(words),
      })
    })
  })

  test('has no account behind it', async () => {
    expect(await open(LAB).provider.whoami()).toEqual({account: 'configuration'})
  })
})
