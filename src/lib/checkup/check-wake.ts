import {DumontError} from '../errors.js'
import type {InstanceService} from '../instances/instance-service.js'
import {proveKeys} from '../instances/key-proof.js'
import {asDumontError} from '../instances/vendor-failure.js'
import {
  findWakeSource,
  wantedSpec,
  type VendorAndStore,
  type WakeSource,
} from '../instances/wake-source.js'
import type {WakeRequest} from '../instances/wake-request.js'
import type {Manifest} from '../format/manifest.js'
import {unlistedPacks} from '../snapshots/presence.js'
import {readPacks} from '../snapshots/stored-index.js'
import {untrusted} from '../untrusted.js'
import {bad, good, note, type Finding} from './finding.js'

/** A store, the vendor, and the way to open the store again. */
type Waking = VendorAndStore & Pick<InstanceService, 'coldUnlock'>

/** Looks at everything that waking an instance or a snapshot will need; rents nothing and changes nothing. */
export async function checkWake(
  what: string,
  service: Waking,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const {account, creditUSD} = await service.provider.whoami(signal)
    const source = await findWakeSource({what}, {account, service}, signal)
    return [
      ...accountOf(source, {account, creditUSD, name: service.provider.name}),
      ...imageOf(source, what),
      ...environmentOf(source),
      ...(await snapshotOf(source, service, signal).catch((error: unknown) => [
        bad('snapshot', error),
      ])),
    ]
  } catch (error) {
    return [bad('wake', asDumontError(error))]
  }
}

function accountOf(
  {name, old, record}: WakeSource,
  now: {readonly account: string; readonly creditUSD: number | undefined; readonly name: string},
): readonly Finding[] {
  const state = record ? `recorded as ${record.state}` : 'not on record'
  const there = old && old.phase !== 'gone' ? `, and the vendor shows it ${old.phase}` : ''
  const is = good(
    'instance',
    `${untrusted(name.provider, 40)}:${untrusted(name.id, 80)} is ${state}${there}`,
  )
  if (record && record.instance.account !== now.account)
    return [
      is,
      note(
        'account',
        'the key belongs to another account than the one that rented it',
        'a new machine will be rented with this key; disks of the old account stay out of reach',
      ),
    ]
  const hourly = record?.instance.hourly ?? undefined
  const isShort = now.creditUSD !== undefined && hourly !== undefined && now.creditUSD < hourly
  return [
    is,
    isShort
      ? bad(
          'balance',
          new DumontError(
            'ACCESS_DENIED',
            `$${now.creditUSD?.toFixed(2)} do not pay for an hour at $${hourly?.toFixed(2)}`,
            {hint: 'top the account up'},
          ),
        )
      : good('account', `the key is that of ${untrusted(now.account, 60)}`),
  ]
}

/** What `wake` would look for when nothing else is said. */
const PLAIN: WakeRequest = {} as WakeRequest

function imageOf(source: WakeSource, what: string): readonly Finding[] {
  try {
    const {gpuCount, gpuName, image, templateId} = wantedSpec({...PLAIN, what}, source)
    const of = image ?? `template ${templateId ?? ''}`
    return [good('machine', `${gpuCount} × ${untrusted(gpuName, 60)}, image ${untrusted(of, 120)}`)]
  } catch (error) {
    return [bad('machine', error)]
  }
}

function environmentOf({record}: WakeSource): readonly Finding[] {
  const names = record?.instance.spec?.envNames ?? []
  if (names.length === 0) return [good('environment', 'no values are needed')]
  const known = Object.keys(record?.values ?? {})
  const missing = names.filter((name) => !known.includes(name))
  if (missing.length === 0)
    return [good('environment', `${names.length} values are kept in the store, sealed`)]
  return [
    note(
      'environment',
      `values are known by name only: ${missing.map((name) => untrusted(name, 60)).join(', ')}`,
      'wake with --env-file',
    ),
  ]
}

async function snapshotOf(
  {newer, stored}: WakeSource,
  service: Waking,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  if (!stored)
    return [note('snapshot', 'the store has none: the instance can only be started where it is')]
  const {id, manifest} = stored
  const {store} = service
  const packs = await readPacks(store, manifest, signal)
  const missing = await unlistedPacks(store, packs, signal)
  return [
    missing.length === 0
      ? good('snapshot', `${id}: all ${packs.length} packs are there`)
      : bad(
          'snapshot',
          new DumontError(
            'INTEGRITY',
            `${missing.length} of ${packs.length} packs of ${id} are missing`,
            {
              hint: `dumont snapshot verify ${id} names the files that need them`,
            },
          ),
        ),
    ...(newer === undefined
      ? []
      : [note('snapshot', `${newer} is newer`, `wake with --snapshot ${newer}`)]),
    decodersOf(manifest),
    ...(await keysOf(id, service, signal)),
  ]
}

/** What a receipt demands of the keys, looked at once more. */
async function keysOf(
  id: string,
  service: Waking,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const {checks, refusals} = await proveKeys(service, id, signal)
    if (refusals.length === 0) return checks.map(({what}) => good('keys', what))
    return refusals.map(({message}) =>
      note('keys', message, 'dumont key add --recovery, and write its text down'),
    )
  } catch (error) {
    return [bad('keys', asDumontError(error))]
  }
}

function decodersOf({decoders, id, nvidia}: Manifest): Finding {
  if (nvidia === null) return good('decoders', `${decoders.join(', ') || 'none'}: any box has them`)
  const names = nvidia.libraries.map(({name}) => untrusted(name, 60)).join(', ')
  return note(
    'decoders',
    `an NVIDIA GPU is needed (${names})`,
    `dumont snapshot transcode ${id} makes a snapshot that restores anywhere`,
  )
}
