import {lookup} from 'node:dns/promises'
import {statfs} from 'node:fs/promises'
import {fileURLToPath} from 'node:url'
import type {Store} from '../store/store.js'
import {openRepository, type OpenedRepository} from '../store/repository.js'
import type {Check, ReceiptRequest, Refusal} from './receipt-terms.js'

/** Numbers of statfs(2) for file systems that are memory. */
const MEMORY = new Set([0x01_02_19_94, 0x85_84_58_f6])

export interface EnduranceProof {
  readonly checks: readonly Check[]
  readonly refusals: readonly Refusal[]
  readonly repository: OpenedRepository | undefined
}

type Question = Pick<
  ReceiptRequest,
  'instance' | 'lifecycleAcknowledged' | 'session' | 'storeNamed'
>

/** Whether the store outlives the box: not on it, not in memory, write-once, and with no rule that expires what is in it. */
export async function proveEndurance(
  store: Store,
  question: Question,
  signal?: AbortSignal,
): Promise<EnduranceProof> {
  const repository = await openRepository(store, {create: false}, signal)
  const refusals: Refusal[] = []
  const refuse = (message: string, remedy: string) =>
    refusals.push({message, remedy, rule: 'endurance'})
  if (!repository)
    refuse(
      'the store was never tested for writing once and holding uploads to a checksum',
      'take the snapshot into a store that `dumont init` accepts',
    )
  if (question.session.isLocal)
    refuse(
      'dumont runs on the box itself, and a box cannot prove its own end',
      'run dumont on another machine',
    )
  const what = store.url.startsWith('file:')
    ? await inDirectory(store.url, question, refuse)
    : await inBucket(store, question, refuse, signal)
  const checks: readonly Check[] = [{by: 'operator', figures: {}, rule: 'endurance', what}]
  return {checks: refusals.length === 0 ? checks : [], refusals, repository}
}

type Refuse = (message: string, remedy: string) => unknown

async function inDirectory(url: string, {storeNamed}: Question, refuse: Refuse): Promise<string> {
  if (!storeNamed)
    refuse(
      'the store is a directory of this machine, which then holds the only copy',
      'name it on this command with --store',
    )
  const {type} = await statfs(fileURLToPath(url))
  if (MEMORY.has(type))
    refuse('the store is a directory in memory', 'use a directory on a disk, or a bucket')
  return 'the only copy is a directory of this machine, on a disk'
}

async function inBucket(
  store: Store,
  question: Question,
  refuse: Refuse,
  signal?: AbortSignal,
): Promise<string> {
  const found = await store.endurance?.(signal)
  if (!found) {
    refuse('the store does not outlive this program', 'use a bucket or a directory')
    return ''
  }
  if (found.host !== undefined && (await isOnBox(found.host, question)))
    refuse('the store is served by the box itself', 'use a store that outlives the box')
  if (found.kind === 'expires')
    refuse(
      `lifecycle rules of the bucket remove or freeze what lies under the prefix: ${found.rules.slice(0, 5).join('; ')}`,
      'take these rules away, or use a prefix that they leave alone',
    )
  if (found.kind === 'unreadable' && !question.lifecycleAcknowledged)
    refuse(
      `the lifecycle rules of the bucket cannot be read (${found.reason})`,
      'let the credentials read them, or set lifecycleAcknowledged in the configuration once you have looked',
    )
  return found.kind === 'kept'
    ? 'no lifecycle rule of the bucket touches the prefix'
    : 'the lifecycle rules could not be read; the configuration says that they are harmless'
}

async function isOnBox(host: string, {instance}: Question): Promise<boolean> {
  const hosts = new Set(instance.endpoints.map((endpoint) => endpoint.host))
  if (hosts.has(host)) return true
  try {
    const addresses = await lookup(host, {all: true})
    return addresses.some(({address}) => hosts.has(address))
  } catch {
    // The store was read a moment ago, so a name that does not resolve here is served by another way.
    return false
  }
}
