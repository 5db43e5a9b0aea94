import type {Instance} from './provider.js'

/** Of an instance that its vendor does not know, or no longer knows. */
export function goneInstance(id: string, state = 'unknown to the vendor'): Instance {
  return {
    id,
    label: undefined,
    phase: 'gone',
    state,
    message: undefined,
    endpoints: [],
    spec: {
      gpuName: '',
      gpuCount: 0,
      gpuMemoryMB: 0,
      diskGB: 0,
      ports: [],
      envNames: [],
      market: {kind: 'on-demand'},
    },
    machine: undefined,
    hourly: undefined,
    storagePerGBMonth: undefined,
    upCostPerGB: undefined,
    downCostPerGB: undefined,
    createdAt: undefined,
    endsAt: undefined,
    volumes: [],
  }
}
