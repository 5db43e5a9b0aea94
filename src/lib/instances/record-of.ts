import type {Instance, Spec} from '../providers/provider.js'
import type {RecordedMachine} from './record.js'

const TEXT = 1024

/** What a record keeps of an instance: this list and nothing else, whatever the vendor tells besides. */
export function machineOf(
  {account, provider}: {readonly provider: string; readonly account: string},
  seen: Instance,
): RecordedMachine {
  return {
    provider,
    account,
    id: seen.id,
    createdAt: seen.createdAt === undefined ? null : Math.max(0, Math.round(seen.createdAt)),
    machine: cut(seen.machine),
    spec: specOf(seen.spec),
    hourly: price(seen.hourly),
    storagePerGBMonth: price(seen.storagePerGBMonth),
    upCostPerGB: price(seen.upCostPerGB),
    downCostPerGB: price(seen.downCostPerGB),
    volumes: seen.volumes.slice(0, 64).map((volume) => volume.slice(0, TEXT)),
  }
}

/** A machine that nothing is known of but its name. */
export function namedMachine(of: {
  readonly provider: string
  readonly account: string
  readonly id: string
}): RecordedMachine {
  return {
    provider: of.provider,
    account: of.account,
    id: of.id,
    createdAt: null,
    machine: null,
    spec: null,
    hourly: null,
    storagePerGBMonth: null,
    upCostPerGB: null,
    downCostPerGB: null,
    volumes: [],
  }
}

function specOf(spec: Spec): NonNullable<RecordedMachine['spec']> {
  const {cores, cuda, image, market, memoryMB, region, templateId} = spec
  return {
    gpuName: spec.gpuName.slice(0, TEXT),
    gpuCount: spec.gpuCount,
    gpuMemoryMB: spec.gpuMemoryMB,
    diskGB: spec.diskGB,
    ...(memoryMB === undefined ? {} : {memoryMB}),
    ...(cores === undefined ? {} : {cores}),
    ...(cuda === undefined ? {} : {cuda: cuda.slice(0, TEXT)}),
    ...(image === undefined ? {} : {image: image.slice(0, TEXT)}),
    ...(templateId === undefined ? {} : {templateId: templateId.slice(0, TEXT)}),
    ...(region === undefined ? {} : {region: region.slice(0, TEXT)}),
    ports: spec.ports.slice(0, 256).map((port) => port.slice(0, TEXT)),
    envNames: spec.envNames.filter((one) => one !== '' && one.length <= 256).slice(0, 1024),
    market: market.kind === 'spot' ? {kind: 'spot', bid: market.bid} : {kind: 'on-demand'},
  }
}

function cut(text: string | undefined): string | null {
  return text === undefined ? null : text.slice(0, TEXT)
}

function price(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) || value < 0 ? null : value
}
