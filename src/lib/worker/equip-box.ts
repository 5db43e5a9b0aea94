import {createHash} from 'node:crypto'

import * as v from 'valibot'

import {DumontError, isDumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'
import {answerIn, BOOT_PAYLOAD, parseAnswer} from './box-answer.js'
import {askFirstPython} from './find-python.js'
import {getWheel, importNames, parseRequirements, type WheelSource} from './native-wheels.js'
import type {WorkerBundle} from './worker-bundle.js'

export interface EquipOptions {
  readonly bundle: WorkerBundle
  /** Where this machine gets wheels that the box cannot get by itself. */
  readonly wheels: WheelSource
  /** Interpreters to try instead of the usual places. */
  readonly pythons?: readonly string[]
}

/** A box with everything the worker needs. */
export interface EquippedBox {
  /** Starts the worker. */
  readonly argv: readonly string[]
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

const INSTALL_SECONDS = 180
const SEND_MS = 120_000
/** A slow home line sends 50 kB in a second. */
const SEND_BYTES_PER_MS = 50

const Look = v.object({
  free: v.number(),
  key: v.pipe(v.string(), v.regex(/^[\w.-]+$/)),
  libc: v.nullable(v.string()),
  native: v.boolean(),
  numpy: v.boolean(),
  pip: v.boolean(),
  platform: v.string(),
  private: v.pipe(v.string(), v.startsWith('/')),
  python: v.pipe(v.string(), v.startsWith('/')),
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
  const keys = nativeKeys(bundle.requirements)
  const request = {do: 'look', natives: Object.fromEntries(keys), worker: bundle.sha256}
  const question = {request, script: bundle.equip, ...(pythons ? {pythons} : {})}
  const look = v.parse(Look, await askFirstPython(session, question, signal))
  if (keys.get(look.platform)?.[setOf(look)] !== look.key) {
    throw new DumontError(
      'WORKER',
      `${session.label} speaks of helpers nobody asked for: ${untrusted(look.key)}`,
    )
  }
  const box = {bundle, look, session}
  if (!look.worker) await sendWorker(box, signal)
  if (!look.native) await provideNatives(box, options.wheels, signal)
  return describe(look, bundle)
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

function requirementsOf(
  requirements: WorkerBundle['requirements'],
  platform: string,
  set: NativeSet,
): string {
  return set
    .split('+')
    .map((part) => requirements[`${part === 'numpy' ? 'numpy' : 'native'}-${platform}`] ?? '')
    .join('')
}

/** Directory names on the box, by platform: other pins or another Python never meet in one directory. */
function nativeKeys(
  requirements: WorkerBundle['requirements'],
): Map<string, Record<NativeSet, string>> {
  const platforms = Object.keys(requirements).flatMap((name) =>
    name.startsWith('native-') ? [name.slice('native-'.length)] : [],
  )
  const key = (platform: string, set: NativeSet) => {
    const text = requirementsOf(requirements, platform, set)
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
  await ask(
    box,
    request,
    {payload: worker, timeoutMs: SEND_MS + worker.length / SEND_BYTES_PER_MS},
    signal,
  )
}

/** By the box's own means first: its line is usually far better than the operator's. */
async function provideNatives(box: Box, source: WheelSource, signal?: AbortSignal): Promise<void> {
  const {bundle, look} = box
  const requirements = requirementsOf(bundle.requirements, look.platform, setOf(look))
  const wheels = parseRequirements(requirements)
  const common = {key: look.key, modules: importNames(wheels), private: look.private}
  const failed =
    look.uv === null && !look.pip
      ? 'it has neither uv nor pip'
      : await install(box, {...common, requirements}, signal)
  if (failed === undefined) return
  const contents = await Promise.all(wheels.map((wheel) => getWheel(wheel, source, signal))).catch(
    (cause: unknown) => {
      throw cannotProvide(box, failed, cause)
    },
  )
  const payload = Buffer.concat(contents)
  const sent = wheels.map((wheel, at) => ({
    bytes: contents[at]?.length ?? 0,
    name: wheel.name,
    sha256: wheel.sha256,
  }))
  await ask(
    box,
    {...common, do: 'unpack', wheels: sent},
    {payload, timeoutMs: SEND_MS + payload.length / SEND_BYTES_PER_MS},
    signal,
  )
}

const Installed = v.object({failed: v.optional(v.string())})

/** Undefined when done, else why the box could not. */
async function install(
  box: Box,
  request: object,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const full = {...request, do: 'install', seconds: INSTALL_SECONDS, uv: box.look.uv}
  const answer = await ask(box, full, {timeoutMs: (INSTALL_SECONDS + 90) * 1000}, signal)
  return v.parse(Installed, answer).failed
}

function cannotProvide({session}: Box, failed: string, cause: unknown): unknown {
  if (!isDumontError(cause) || cause.code === 'INTEGRITY') return cause
  const why = untrusted(failed.trim().split('\n').at(-1) ?? '', 300)
  return new DumontError(
    'BOX_UNSUITABLE',
    `the helpers of the worker cannot be put on ${session.label}: by itself it says "${why}", and from here ${cause.message}`,
    {
      cause,
      hint: 'give the box or this machine access to a Python package index, then run the command again',
      retry: 'later',
    },
  )
}

interface Asking {
  readonly payload?: Uint8Array
  readonly timeoutMs: number
}

async function ask(
  {bundle, look, session}: Box,
  request: object,
  {payload, timeoutMs}: Asking,
  signal?: AbortSignal,
): Promise<unknown> {
  const code = Buffer.from(bundle.equip)
  const words = Buffer.from(JSON.stringify(request)).toString('base64')
  const argv = [look.python, '-I', '-c', BOOT_PAYLOAD, words, String(code.length)]
  const stdin = Buffer.concat([code, payload ?? new Uint8Array()])
  const result = await session.exec(argv, {stdin, timeoutMs, ...(signal ? {signal} : {})})
  const answer = answerIn(Buffer.from(result.stdout).toString('utf8'))
  if (answer !== undefined) return parseAnswer(answer, session.label)
  const said = untrusted(result.stderr.trim().slice(-300))
  throw new DumontError(
    'WORKER',
    `equipping ${session.label} failed with status ${result.code}: ${said}`,
  )
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
