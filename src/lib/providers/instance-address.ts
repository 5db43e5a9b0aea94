export const PROVIDERS = ['vast', 'runpod', 'lambda', 'ssh'] as const

export type ProviderName = (typeof PROVIDERS)[number]

/** One instance, at whatever vendor. */
export interface InstanceAddress {
  readonly provider: ProviderName
  readonly id: string
}

export const INSTANCE_FORMS = '12345 or vast:12345, runpod:ID, lambda:ID, ssh:NAME'

/** Ids end up in URLs, keys of the store and file names: nothing else is let in. */
const IDS: Readonly<Record<ProviderName, RegExp>> = {
  vast: /^[1-9]\d{0,14}$/u,
  runpod: /^[a-z0-9][a-z0-9_-]{3,63}$/u,
  lambda: /^[0-9a-z][0-9a-z-]{3,63}$/u,
  ssh: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/u,
}

export function isInstanceId(provider: ProviderName, id: string): boolean {
  return IDS[provider].test(id)
}

/**
 * Reads what an operator typed; undefined when it is no instance. A bare id belongs to `standard`, a bare number to vast
 * unless that says otherwise.
 */
export function parseInstanceAddress(
  text: string,
  standard?: ProviderName,
): InstanceAddress | undefined {
  const colon = text.indexOf(':')
  const named = PROVIDERS.find((name) => name === text.slice(0, Math.max(0, colon)))
  const provider = colon < 0 ? (standard ?? 'vast') : named
  const id = text.slice(colon + 1)
  return provider !== undefined && isInstanceId(provider, id) ? {provider, id} : undefined
}
