import {DumontError} from '../errors.js'
import type {ExecOptions} from '../remote/session.js'
import {untrusted} from '../untrusted.js'
import {textOf, type BoxTools} from './box-tools.js'
import type {BoxConnection} from './receipt-terms.js'

/** What ties a connection to one instance and to one start of it. */
export interface BoxIdentity {
  readonly bootId: string
  /** When process 1 began, in ticks since boot: a container can start again under the same kernel. */
  readonly started: number
  /** How the instance was recognised: by the vendor's own mark inside, by the vendor's sight, or by its address. */
  readonly by: 'address' | 'environment' | 'vendor-channel'
}

/** The vendor's mark in the environment of process 1, and what it says for an instance. */
const MARKS: Readonly<
  Record<string, readonly (readonly [name: string, value: (id: string) => string])[]>
> = {
  runpod: [['RUNPOD_POD_ID', (id) => id]],
  vast: [
    ['CONTAINER_ID', (id) => id],
    ['VAST_CONTAINERLABEL', (id) => `C.${id}`],
  ],
}
/** Where the vendor gives each machine an address of its own, and nothing inside to read. */
const BY_ADDRESS = new Set(['lambda', 'ssh'])

const BOOT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Proves that the session leads to the instance; rejects with the words of `notProven` when it does not. */
export async function identifyBox(
  tools: BoxTools,
  connection: BoxConnection,
  random: (count: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<BoxIdentity> {
  const options = signal ? {signal} : {}
  const by = await recognised(tools, connection, random, signal)
  const bootId = (await textOf(tools, ['cat', '/proc/sys/kernel/random/boot_id'], options)).trim()
  const stat = await textOf(tools, ['cat', '/proc/1/stat'], options)
  const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  if (!BOOT_ID.test(bootId) || !Number.isSafeInteger(started))
    throw notProven('the box does not tell when it was started')
  return {bootId, by, started}
}

/** Undefined when both are one start of one instance, else what differs. */
export function differsFrom(one: BoxIdentity, other: BoxIdentity): string | undefined {
  if (one.bootId !== other.bootId) return 'the box has booted again (its boot id changed)'
  if (one.started !== other.started) return 'the container has been started again'
  if (one.by !== other.by) return 'the instance was recognised in another way'
  return undefined
}

async function recognised(
  tools: BoxTools,
  connection: BoxConnection,
  random: (count: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<BoxIdentity['by']> {
  const {instance, provider} = connection
  const marks = MARKS[provider.name] ?? []
  if (marks.length > 0) {
    const told = await marksOf(
      tools,
      marks.map(([name]) => name),
      signal ? {signal} : {},
    )
    const wrong = marks.find(
      ([name, value]) => told.has(name) && told.get(name) !== value(instance.id),
    )
    if (wrong)
      throw notProven(
        `the box says that it is ${untrusted(told.get(wrong[0]) ?? '', 60)}, not ${untrusted(instance.id, 60)}`,
      )
    if (told.size > 0) return 'environment'
  }
  if (provider.execute) {
    await throughVendor(tools, connection, random, signal)
    return 'vendor-channel'
  }
  if (BY_ADDRESS.has(provider.name) && hasOwnAddress(connection)) return 'address'
  throw notProven(`nothing on the box says that it is instance ${untrusted(instance.id, 60)}`)
}

/** Only the lines asked for leave the box: the rest of that environment holds secrets. */
async function marksOf(
  tools: BoxTools,
  names: readonly string[],
  options: ExecOptions,
): Promise<ReadonlyMap<string, string>> {
  const argv = ['grep', '-azE', `^(${names.join('|')})=`, '/proc/1/environ']
  const text = await textOf(tools, argv, {...options, allowed: [0, 1]})
  const pairs = text.split('\0').map((line) => line.split('=', 2))
  return new Map(
    pairs.flatMap(([name, value]) =>
      name !== undefined && value !== undefined && names.includes(name) ? [[name, value]] : [],
    ),
  )
}

/** Writes a name nobody can guess over SSH and looks for it with the vendor's eyes. */
async function throughVendor(
  tools: BoxTools,
  {instance, provider}: BoxConnection,
  random: (count: number) => Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal ? {signal} : {}
  const [folder, nonce] = [8, 16].map((count) => Buffer.from(random(count)).toString('hex'))
  const place = `/tmp/dumont-proof-${folder}`
  await textOf(tools, ['mkdir', '-m', '755', '--', place], options)
  try {
    await textOf(tools, ['touch', '--', `${place}/${nonce}`], options)
    const seen = await provider.execute?.(instance.id, `ls ${place}`, signal)
    if (nonce === undefined || !seen?.split(/\s+/).includes(nonce))
      throw notProven(`${provider.name} does not see on the instance what was written on the box`)
  } finally {
    await tools.exec(['rm', '-rf', '--', place], options)
  }
}

function hasOwnAddress({address, instance, provider}: BoxConnection): boolean {
  if (!address) return false
  return instance.endpoints.some(
    ({host, port, via}) =>
      via === 'direct' &&
      host === address.host &&
      (port === address.port || provider.name === 'ssh'),
  )
}

export function notProven(message: string): DumontError {
  return new DumontError(
    'BOX_UNSUITABLE',
    `it is not proven that this is the instance: ${message}`,
    {
      hint: "leave --host out, so that dumont takes the instance's own address from the vendor",
    },
  )
}
