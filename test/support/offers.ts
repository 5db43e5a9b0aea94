import type {Offer, Spec} from '../../src/lib/providers/provider.js'

/** A box such as many rent. */
export function specOf(change: Partial<Spec> = {}): Spec {
  return {
    gpuName: 'RTX 4090',
    gpuCount: 1,
    gpuMemoryMB: 24_564,
    diskGB: 100,
    ports: ['22/tcp'],
    envNames: [],
    market: {kind: 'on-demand'},
    ...change,
  }
}

export function offerOf(change: Partial<Offer> = {}, spec: Partial<Spec> = {}): Offer {
  return {
    id: '1',
    machine: 'm1',
    spec: specOf(spec),
    hourly: 0.4,
    storagePerGBMonth: 0.15,
    upCostPerGB: 0,
    downCostPerGB: 0,
    downMbps: 800,
    upMbps: 400,
    reliability: 0.99,
    ...change,
  }
}
