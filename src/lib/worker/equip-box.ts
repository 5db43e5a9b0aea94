import {createHash} from 'node:crypto'

import * as v from 'valibot'

import {DumontError} from '../errors.js'
import type {RemoteProcess, Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'
import {equipNvcomp, type NvcompFound, type NvcompOptions} from './equip-nvcomp.js'
import {askFirstPython} from './find-python.js'
import type {WheelSource} from './native-wheels.js'
import {nvcompKeys} from './nvcomp-wheels.js'
import {ask, provideWheels, sendingMs} from './provide-wheels.js'
import type {WorkerBundle} from './worker-bundle.js'

export interface EquipOptions {
  readonly bundle: WorkerBundle
  /** Where this machine gets wheels that the box cannot get by itself. */
  readonly wheels: WheelSource
  /** Interpreters to try instead of the usual places. */
  readonly pythons?: readonly string[]
  /** The store is sealed: what encrypts is wanted as well. */
  readonly sealed?: boolean
  /** Absent: nvCOMP is neither looked for nor installed. */
  readonly nvcomp?: NvcompOptions
  /** The worker is wanted as well: a box that lacks nothing starts it at once, in the same round trip. */
  readonly serve?: boolean
}

/** A box with everything the worker needs. */
export interface EquippedBox extends NvcompFound {
  /** Starts the worker. */
  readonly argv: readonly string[]
  /** The worker, where it was wanted and could be started at once: whoever does not talk to it kills it. */
  readonly running?: RemoteProcess
  readonly python: string
  readonly workerPath: string
  /** The worker's own directory, mode 700; nothing else on the box is touched by equipping. */
  readonly privateDir: string
  /** Goes on the worker's sys.path. */
  readonly nativePath: string
  readonly facts: BoxFacts
}

export interface BoxFacts {
  /** Of Python, such as 3.11.7. */
  readonly version: string
  /** Such as cp311-x86_64. */
  readonly platform: string
  readonly libc: string | null
  /** Whether the box's Python brings numpy itself. */
  readonly numpy: boolean
  /** Bytes free where the worker lives. */
  readonly free: number
}

const Look = v.object({
  driver: v.boolean(),
  free: v.number(),
  key: v.pipe(v.string(), v.regex(/^[\w.-]+$/)),
  libc: v.nullable(v.string()),
  native: v.boolean(),
  numpy: v.boolean(),
  nvcomp: v.boolean(),
  pip: v.boolean(),
  platform: v.string(),
  private: v.pipe(v.string(), v.startsWith('/')),
  python: v.pipe(v.string(), v.startsWith('/')),
  serving: v.boolean(),
  uv: v.nullable(v.string()),
  version: v.string(),
  worker: v.boolean(),
})
type Look = v.InferOutput<typeof Look>

/**
 * Finds a Python and puts the worker and its helpers where they are missing. One round trip when nothing is. Errors:
 * BOX_UNSUITABLE, BOX_DISK_FULL, TARGET_UNWRITABLE, INTEGRITY, UNREACHABLE. Several runs may equip one box at a time.
 */
export async function equipBox(
  session: Session,
  options: EquipOptions,
  signal?: AbortSignal,
): Promise<EquippedBox> {
  const {bundle, pythons} = options
  const keys = nativeKeys(bundle.requirements, options.sealed)
  const request = {
    do: 'look',
    natives: Object.fromEntries(keys),
    nvcomp: nvcompKeys(bundle.requirements),
    nvcompLater: options.nvcomp?.need === 'later',
    serve: options.serve === true,
    useNvcomp: options.nvcomp !== undefined,
    worker: bundle.sha256,
  }
  const question = {request, script: bundle.equip, ...(pythons ? {pythons} : {})}
  const {answer, running} = await askFirstPython(session, question, signal)
  const look = v.parse(Look, answer)
  const isServing = request.serve && look.serving
  if (!isServing) letGo(running)
  if (keys.get(look.platform)?.[setOf(look)] !== look.key) {
    running.kill()
    throw new DumontError(
      'WORKER',
      `${session.label} speaks of helpers nobody asked for: ${untrusted(look.key)}`,
    )
  }
  const box = {bundle, look, session}
  if (!look.worker) await sendWorker(box, signal)
  if (!look.native) {
    const wanted = {sealed: options.sealed, set: setOf(look)}
    const requirements = requirementsOf(bundle.requirements, look.platform, wanted)
    const set = {key: look.key, kind: 'native' as const, requirements}
    await provideWheels(box, set, options.wheels, signal)
  }
  const nvcomp = await equipNvcomp(box, options, signal)
  const described = {...describe(look, bundle), ...(isServing ? {running} : {})}
  if (nvcomp.nvcompPath === undefined) return {...described, ...nvcomp}
  return {...described, ...nvcomp, argv: [...described.argv, '--nvcomp', nvcomp.nvcompPath]}
}

/** The script has answered, and nothing follows it. */
function letGo({exited, stdin, stdout}: RemoteProcess): void {
  stdin.end()
  stdout.resume()
  exited.catch(() => {})
}

interface Box {
  readonly bundle: WorkerBundle
  readonly look: Look
  readonly session: Session
}

type NativeSet = 'native' | 'native+numpy'

function setOf(look: Look): NativeSet {
  return look.numpy ? 'native' : 'native+numpy'
}

interface Wanted {
  readonly sealed: boolean | undefined
  readonly set: NativeSet
}

function requirementsOf(
  requirements: WorkerBundle['requirements'],
  platform: string,
  {sealed, set}: Wanted,
): string {
  // Not the box's own cryptography: its version and its OpenSSL would be anybody's choice.
  return [...set.split('+'), ...(sealed === true ? ['seal'] : [])]
    .map((part) => requirements[`${part}-${platform}`] ?? '')
    .join('')
}

/** Directory names on the box, by platform: other pins or another Python never meet in one directory. */
function nativeKeys(
  requirements: WorkerBundle['requirements'],
  sealed: boolean | undefined,
): Map<string, Record<NativeSet, string>> {
  const platforms = Object.keys(requirements).flatMap((name) =>
    name.startsWith('native-') ? [name.slice('native-'.length)] : [],
  )
  const key = (platform: string, set: NativeSet) => {
    const text = requirementsOf(requirements, platform, {sealed, set})
    return `${createHash('sha256').update(text).digest('hex').slice(0, 16)}-${platform}`
  }
  return new Map(
    platforms.map((platform) => [
      platform,
      {native: key(platform, 'native'), 'native+numpy': key(platform, 'native+numpy')},
    ]),
  )
}

async function sendWorker(box: Box, signal?: AbortSignal): Promise<void> {
  const {sha256, worker} = box.bundle
  const request = {bytes: worker.length, do: 'receive', private: box.look.private, sha256}
  await ask(box, request, {payload: worker, timeoutMs: sendingMs(worker.length)}, signal)
}

function describe(look: Look, {sha256}: WorkerBundle): EquippedBox {
  const {free, libc, numpy, platform, private: privateDir, python, version} = look
  // Unpacked and compiled there, for that Python alone.
  const workerPath = `${privateDir}/worker-${sha256}-${platform.split('-')[0]}`
  const nativePath = `${privateDir}/native-${look.key}`
  return {
    argv: [python, '-I', workerPath, '--native', nativePath, '--private', privateDir],
    facts: {free, libc, numpy, platform, version},
    nativePath,
    privateDir,
    python,
    workerPath,
  }
}
