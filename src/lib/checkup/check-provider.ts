import {asDumontError} from '../instances/vendor-failure.js'
import {isProviderError} from '../providers/provider-error.js'
import type {Provider} from '../providers/provider.js'
import {untrusted} from '../untrusted.js'
import {bad, good, note, type Finding} from './finding.js'

/** Less than this is gone within hours. */
const LEAST_CREDIT = 5

/** Looks at one vendor account with reads alone: nothing is rented, stopped or ended to find out what may be. */
export async function checkProvider(
  open: () => Promise<Provider>,
  keyFrom: () => string | undefined,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  try {
    const provider = await open()
    const from = keyFrom()
    findings.push(good('key', from === undefined ? 'needs none' : `from ${from}`))
    const {account, creditUSD} = await provider.whoami(signal)
    findings.push(
      good('account', `${provider.name} knows it as ${untrusted(account, 60)}`),
      balance(creditUSD),
    )
    const instances = await provider.list({}, signal)
    findings.push(good('instances', `${instances.length} can be seen`))
    findings.push(...scopes(provider))
  } catch (error) {
    findings.push(failed(error))
  }
  return findings
}

function balance(creditUSD: number | undefined): Finding {
  if (creditUSD === undefined) return note('balance', 'the vendor does not tell it')
  const amount = `$${creditUSD.toFixed(2)}`
  return creditUSD < LEAST_CREDIT
    ? note('balance', `only ${amount}`, 'top the account up: what runs out of money is ended')
    : good('balance', amount)
}

/** What this vendor can be asked to do at all; whether the key may is only seen when it is used. */
function scopes({capabilities}: Provider): readonly Finding[] {
  const {create, destroy, stop} = capabilities
  const can = [create ? 'rent' : '', stop ? 'stop' : '', destroy ? 'end' : ''].filter(
    (word) => word !== '',
  )
  return [
    can.length === 0
      ? note('scopes', 'nothing can be rented or ended here')
      : note('scopes', `the key may read; whether it may ${can.join(', ')} shows when it does`),
  ]
}

function failed(error: unknown): Finding {
  const what = isProviderError(error) && error.failure === 'AUTH' ? 'key' : 'account'
  const finding = bad(what, asDumontError(error))
  return finding.remedy === undefined && isProviderError(error) && error.failure === 'SCOPE'
    ? {...finding, remedy: 'make a key that may read instances and the account'}
    : finding
}
