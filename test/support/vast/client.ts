import {VastProvider} from '../../../src/lib/providers/vast-provider.js'
import type {CreateRequest, Spec} from '../../../src/lib/providers/provider.js'
import {type FakeVast, type FakeVastOptions, startFakeVast} from './fake-vast.js'

/** dumont's client of this fake, on its clock. */
export function vastClient(fake: FakeVast, {key = fake.key, timeoutMs = 2000} = {}): VastProvider {
  return new VastProvider({
    key,
    base: new URL(fake.url),
    clock: fake.clock,
    fetch: fake.fetch,
    random: () => 0.5,
    timeoutMs,
  })
}

/** Starts a fake, hands both out, and ends the fake whatever comes. */
export async function withVast(
  options: FakeVastOptions,
  work: (fake: FakeVast, client: VastProvider) => Promise<void>,
): Promise<void> {
  const fake = await startFakeVast(options)
  try {
    await work(fake, vastClient(fake))
  } finally {
    await fake.close()
  }
}

/** What the fake's standard offers fulfil. */
export function spec4090(change: Partial<Spec> = {}): Spec {
  return {
    gpuName: 'RTX 4090',
    gpuCount: 1,
    gpuMemoryMB: 24_564,
    diskGB: 100,
    image: 'vastai/pytorch:2.6',
    ports: [],
    envNames: [],
    market: {kind: 'on-demand'},
    ...change,
  }
}

export function orderOf(change: Partial<CreateRequest> = {}): CreateRequest {
  return {spec: spec4090(), label: 'dumont-main-1', publicKeys: [], env: {}, ...change}
}
