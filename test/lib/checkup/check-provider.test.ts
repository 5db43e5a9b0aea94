import {expect, test} from '@jest/globals'
import {checkProvider} from '../../../src/lib/checkup/check-provider.js'
import {exitCodeOfFindings} from '../../../src/lib/checkup/finding.js'
import {DumontError} from '../../../src/lib/errors.js'
import {ProviderError, type ProviderFailure} from '../../../src/lib/providers/provider-error.js'
import type {Provider} from '../../../src/lib/providers/provider.js'

const failing = (failure: ProviderFailure) => async () => {
  throw new ProviderError(failure, {operation: 'whoami', provider: 'vast'}, 'no')
}

/** An account of which only what a look needs is there: whatever else is called fails. */
function account(change: Partial<Provider> = {}): Provider {
  const reads = {
    capabilities: {create: true, destroy: true, stop: true},
    list: async () => [{}, {}],
    name: 'vast',
    whoami: async () => ({account: '4711\u001B[2J', creditUSD: 40}),
    ...change,
  }
  return reads as unknown as Provider
}

const look = (provider: Provider | Error, from: string | undefined = 'VAST_API_KEY') =>
  checkProvider(
    async () => {
      if (provider instanceof Error) throw provider
      return provider
    },
    () => from,
  )
const named = async (...given: Parameters<typeof look>) =>
  new Map((await look(...given)).map((one) => [one.what, one]))

test('a good account is told with key, balance and what can be seen', async () => {
  const found = await named(account())
  expect(found.get('key')).toMatchObject({message: 'from VAST_API_KEY', state: 'good'})
  expect(found.get('account')?.message).not.toContain('\u001B')
  expect(found.get('balance')).toMatchObject({message: '$40.00', state: 'good'})
  expect(found.get('instances')?.message).toBe('2 can be seen')
  expect(found.get('scopes')?.message).toContain('rent, stop, end')
})

test('little money is worth a note', async () => {
  const poor = account({whoami: async () => ({account: '1', creditUSD: 0.5})})
  expect((await named(poor)).get('balance')).toMatchObject({
    remedy: expect.stringContaining('top the account up'),
    state: 'note',
  })
})

test('a vendor that does not tell the balance is no failure', async () => {
  const silent = account({whoami: async () => ({account: '1'})})
  expect((await named(silent)).get('balance')?.state).toBe('note')
})

test.each<[ProviderFailure, string, number]>([
  ['AUTH', 'key', 77],
  ['SCOPE', 'account', 77],
  ['RATE_LIMITED', 'account', 75],
  ['TRANSPORT', 'account', 69],
])('a failure by %s is a finding of the %s, with exit code %i', async (failure, what, exit) => {
  const findings = await look(account({whoami: failing(failure)}))
  expect(findings.find(({state}) => state === 'bad')).toMatchObject({what})
  expect(exitCodeOfFindings(findings)).toBe(exit)
})

test('a key that is not there says where to put one', async () => {
  const missing = new DumontError('CONFIG', 'there is no key for vast.ai', {
    hint: 'set VAST_API_KEY',
  })
  expect(await look(missing)).toMatchObject([
    {exitCode: 78, remedy: 'set VAST_API_KEY', state: 'bad'},
  ])
})
