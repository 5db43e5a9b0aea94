import type {Clock} from '../clock.js'
import type {ProviderName} from './instance-address.js'
import type {Provider} from './provider.js'
import type {OwnInstance} from './ssh-provider.js'

/** What is needed to reach any of the vendors; keys are looked for only when one is opened. */
export interface ProviderPlaces {
  readonly instances: Readonly<Record<string, OwnInstance>>
  readonly access: (
    vendor: Exclude<ProviderName, 'ssh'>,
  ) => Promise<{readonly apiKey: string; readonly base?: URL}>
}

export interface ProviderTools {
  readonly clock: Clock
  readonly fetch?: typeof fetch
  /** In [0, 1); spreads retries. */
  readonly random?: () => number
}

const VAST = new URL('https://console.vast.ai/')

/** Opens one vendor account; its code is loaded only now. Rejects as `access` does when there is no key. */
export async function openProvider(
  name: ProviderName,
  {access, instances}: ProviderPlaces,
  tools: ProviderTools,
): Promise<Provider> {
  if (name === 'ssh') {
    const {SshProvider} = await import('./ssh-provider.js')
    return new SshProvider({instances, clock: tools.clock})
  }
  const {apiKey, base} = await access(name)
  const options = {...tools, apiKey, ...(base && {base})}
  if (name === 'runpod') return new (await import('./runpod-provider.js')).RunpodProvider(options)
  if (name === 'lambda') return new (await import('./lambda-provider.js')).LambdaProvider(options)
  const {VastProvider} = await import('./vast-provider.js')
  return new VastProvider({...tools, key: apiKey, base: base ?? VAST})
}
