import * as v from 'valibot'

import {DumontError, isDumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'
import {answerIn, BOOT_PAYLOAD, parseAnswer} from './box-answer.js'
import {getWheel, importNames, parseRequirements, type WheelSource} from './native-wheels.js'
import type {WorkerBundle} from './worker-bundle.js'

const INSTALL_SECONDS = 180
const SEND_MS = 120_000
/** A slow home line sends 50 kB in a second. */
const SEND_BYTES_PER_MS = 50

/** A box that was looked at. */
export interface Asked {
  readonly bundle: WorkerBundle
  readonly look: {
    readonly pip: boolean
    readonly private: string
    readonly python: string
    readonly uv: string | null
  }
  readonly session: Session
}

/** Wheels for a directory of their own below the worker's: `<kind>-<key>`. */
export interface WheelSet {
  readonly kind: 'native' | 'nvcomp'
  readonly key: string
  readonly requirements: string
}

/** How long sending so many bytes may take. */
export function sendingMs(bytes: number): number {
  return SEND_MS + bytes / SEND_BYTES_PER_MS
}

/**
 * Installs pinned wheels by the box's own means first: its line is usually far better than the operator's. Without a
 * `source` nothing is sent from here. Errors as `equipBox`.
 */
export async function provideWheels(
  box: Asked,
  {key, kind, requirements}: WheelSet,
  source: WheelSource | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const {look} = box
  const wheels = parseRequirements(requirements)
  // nvCOMP is not imported for proof: its first use is a self-test in a process of its own.
  const modules = kind === 'native' ? importNames(wheels) : []
  const common = {key, modules, private: look.private, set: kind}
  const failed =
    look.uv === null && !look.pip
      ? 'it has neither uv nor pip'
      : await install(box, {...common, requirements}, signal)
  if (failed === undefined) return
  if (source === undefined) throw cannotInstall(box, failed)
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
    {payload, timeoutMs: sendingMs(payload.length)},
    signal,
  )
}

const Installed = v.object({failed: v.optional(v.string())})

/** Undefined when done, else why the box could not. */
async function install(
  box: Asked,
  request: object,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const full = {...request, do: 'install', seconds: INSTALL_SECONDS, uv: box.look.uv}
  const answer = await ask(box, full, {timeoutMs: (INSTALL_SECONDS + 90) * 1000}, signal)
  return v.parse(Installed, answer).failed
}

function cannotInstall({session}: Asked, failed: string): DumontError {
  return new DumontError(
    'BOX_UNSUITABLE',
    `${session.label} cannot install it by itself: ${lastLine(failed)}`,
  )
}

function lastLine(said: string): string {
  return untrusted(said.trim().split('\n').at(-1) ?? '', 300)
}

function cannotProvide({session}: Asked, failed: string, cause: unknown): unknown {
  if (!isDumontError(cause) || cause.code === 'INTEGRITY') return cause
  const why = lastLine(failed)
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

export interface Asking {
  readonly payload?: Uint8Array
  readonly timeoutMs: number
}

/** Has the box's Python do one deed of equip_box.py; gives what it answers. */
export async function ask(
  {bundle, look, session}: Asked,
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
