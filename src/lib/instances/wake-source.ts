import {DumontError} from '../errors.js'
import {displayByteString} from '../format/byte-string.js'
import {isProviderError} from '../providers/provider-error.js'
import type {Instance, Spec} from '../providers/provider.js'
import {lineagesOf} from '../snapshots/lineages.js'
import {surveyManifests, type StoredManifest} from '../snapshots/manifests.js'
import {findRollbacks} from '../snapshots/operator-memory.js'
import {memoryOf} from '../snapshots/removal.js'
import {resolveSnapshot} from '../snapshots/resolve-snapshot.js'
import {untrusted} from '../untrusted.js'
import type {InstanceService} from './instance-service.js'
import {readAllRecords, readRecord, type InstanceName} from './record-log.js'
import type {InstanceRecord} from './record.js'
import type {WakeRequest} from './wake-request.js'

/** What is to be woken, and where what happens is written down. */
export interface WakeSource {
  readonly name: InstanceName
  readonly record: InstanceRecord | undefined
  /** The old instance as the vendor shows it; undefined where only a snapshot was named. */
  readonly old: Instance | undefined
  /** Undefined when the store holds none: then the instance can only be started. */
  readonly stored: StoredManifest | undefined
  /** The newest of its lineage, when that is another; also one that this machine has seen and the store hides. */
  readonly newer: string | undefined
}

/** All that is needed to look, and not to act. */
export type VendorAndStore = Pick<InstanceService, 'provider' | 'stateDir' | 'store'>

/** Finds record and snapshot for what the operator named: an instance of this account, or a snapshot. */
export async function findWakeSource(
  {snapshot, what}: Pick<WakeRequest, 'snapshot' | 'what'>,
  {account, service}: {readonly account: string; readonly service: VendorAndStore},
  signal?: AbortSignal,
): Promise<WakeSource> {
  const {provider, store} = service
  const asInstance = {provider: provider.name, account, id: what}
  const record =
    (await readRecord(store, asInstance, signal)) ?? (await recordOfSnapshot(what, service, signal))
  const isElsewhere =
    record !== undefined &&
    (record.instance.provider !== provider.name || record.instance.account !== account)
  const old = isElsewhere
    ? undefined
    : await oldInstance(record?.instance.id ?? what, service, signal)
  const isInstance = record !== undefined || (old !== undefined && old.phase !== 'gone')
  const wanted = snapshot ?? record?.snapshot?.id ?? (isInstance ? undefined : what)
  const memory = await memoryOf(service, signal)
  const survey = await surveyManifests(store, signal)
  const stored = wanted === undefined ? undefined : resolveSnapshot(survey, wanted)
  const lineage = lineagesOf(survey.readable).find(({id}) => id === stored?.manifest.lineage)
  const rollbacks = memory
    ? await findRollbacks(memory, survey.readable, ({id}) => id === lineage?.id)
    : []
  const newest = rollbacks[0]?.seen.snapshot ?? lineage?.head.id
  const newer = newest === stored?.id ? undefined : newest
  const name = record?.instance ?? {...asInstance, id: isInstance ? what : (stored?.id ?? what)}
  return {
    name: {provider: name.provider, account: name.account, id: name.id},
    record: record ?? (await readRecord(store, name, signal)),
    old,
    stored,
    newer,
  }
}

/** The machine to look for: the old one's, with what the operator wants otherwise, and a disk the workspace fits on. */
export function wantedSpec(
  {gpu, image, market, region}: WakeRequest,
  {record, stored}: WakeSource,
): Spec {
  const known = record?.instance.spec ?? undefined
  const gpus = stored?.manifest.host.gpus ?? []
  const needs = Math.ceil(((stored?.manifest.bytes.raw ?? 0) * 1.15) / 1e9)
  const chosen = image ?? known?.image ?? stored?.manifest.host.image
  const gpuName = gpu ?? known?.gpuName ?? gpus[0]?.name
  if (gpuName === undefined)
    throw new DumontError('USAGE', 'which GPU is not known of this snapshot', {hint: 'add --gpu'})
  if (chosen === undefined && known?.templateId === undefined)
    throw new DumontError('USAGE', 'which image is not known of this snapshot', {
      hint: 'add --image',
    })
  const isOther = gpu !== undefined && gpu !== known?.gpuName
  const base: Spec = known ?? {
    gpuName,
    gpuCount: Math.max(1, gpus.length),
    gpuMemoryMB: 0,
    diskGB: needs,
    ports: [],
    envNames: [],
    market: {kind: 'on-demand'},
  }
  return {
    ...base,
    gpuName,
    // What another GPU has is its own matter.
    gpuMemoryMB: isOther ? 0 : base.gpuMemoryMB,
    diskGB: Math.max(8, needs, base.diskGB),
    ...(chosen === undefined ? {} : {image: chosen}),
    ...(region === undefined ? {} : {region}),
    market: market ?? base.market,
  }
}

/** Paths on the box a restore writes to. */
export function rootsOf({manifest}: StoredManifest): readonly string[] {
  return manifest.roots.map(({path}) => displayByteString(path, 4096))
}

/** An instance that ended up as this snapshot: waking either is the same. */
async function recordOfSnapshot(
  what: string,
  {store}: VendorAndStore,
  signal?: AbortSignal,
): Promise<InstanceRecord | undefined> {
  if (!/^\d{8}T/.test(what)) return undefined
  const {records} = await readAllRecords(store, signal)
  const matching = records.filter(
    ({snapshot, state}) =>
      state !== 'running' && state !== 'claimed' && snapshot?.id.startsWith(what) === true,
  )
  if (matching.length <= 1) return matching[0]
  throw new DumontError('USAGE', `${untrusted(what, 80)} belongs to several instances`, {
    hint: 'name the instance instead; see `dumont instance list`',
  })
}

async function oldInstance(
  id: string,
  {provider}: VendorAndStore,
  signal?: AbortSignal,
): Promise<Instance | undefined> {
  if (/^\d{8}T|^latest(?::|$)/.test(id)) return undefined
  try {
    return await provider.get(id, signal)
  } catch (error) {
    // What is no id of this vendor may still be a snapshot.
    if (isProviderError(error) && ['INVALID', 'NOT_FOUND'].includes(error.failure)) return undefined
    throw error
  }
}
