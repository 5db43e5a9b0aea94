import {formatBytes} from '../bytes.js'
import {DumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {connectWorker, type ConnectedBox} from '../snapshots/connect-worker.js'
import type {BoxService} from '../snapshots/service.js'
import {openRepository} from '../store/repository.js'
import {untrusted} from '../untrusted.js'
import type {Hello} from '../worker/protocol.js'
import {checkRate} from './check-rate.js'
import {bad, good, note, type Finding} from './finding.js'

const DF = ['df', '-P', '-k', '/', '/workspace', '/dev/shm']
/** Who we are there, and whether the usual workspace can be written to. */
const RIGHTS = [
  'sh',
  '-c',
  'id -u; test -e /workspace && { test -w /workspace && echo yes || echo no; }',
]
const LEAST_FREE = 1e9
const LEAST_MEMORY = 1e9

/** Looks at a box the way create and restore use it: connects, equips it, starts the worker. */
export async function checkBox(
  host: string,
  service: BoxService,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const box = await connectWorker(host, service, signal)
    try {
      const {equipment, session, worker} = box
      return [
        good('connection', `${session.label} can be reached, and the worker runs there`),
        ...describeHost(worker.hello),
        ...nvcomp(worker.hello, equipment.nvcompMissing),
        ...(await disks(session, signal)),
        ...(await rights(session, signal)),
        ...(await rates(box, service, signal)),
      ]
    } finally {
      await box.close()
    }
  } catch (error) {
    return [bad('connection', error)]
  }
}

async function rights(session: Session, signal?: AbortSignal): Promise<readonly Finding[]> {
  const {stdout} = await session.exec(RIGHTS, signal ? {signal} : {})
  const [, user, writable] =
    /^(\d+)\n(?:(yes|no)\n)?$/.exec(Buffer.from(stdout).toString('utf8')) ?? []
  if (user === undefined) return [note('permissions', 'the box does not tell who we are there')]
  return [
    user === '0'
      ? good('permissions', 'root: everything can be read, and every owner restored')
      : note(
          'permissions',
          `user ${user}, not root: files of others may be unreadable, and owners are not restored`,
          'log in as root where whole machines are saved and woken',
        ),
    ...(writable === 'no'
      ? [
          note(
            'permissions',
            '/workspace cannot be written to',
            'restore with --target, or as root',
          ),
        ]
      : []),
  ]
}

/** Nothing is measured against a store that is not in use yet. */
async function rates(
  box: ConnectedBox,
  service: BoxService,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const repository = await openRepository(service.store, {create: false}, signal)
  return repository ? checkRate(box, {pin: repository.pin, service}, signal) : []
}

function describeHost({host}: Hello): readonly Finding[] {
  const {arch, cpus, gpus, memory, os, python} = host
  const size = formatBytes(memory)
  return [
    good('system', `${shown(os)} on ${shown(arch)}, Python ${shown(python)}, ${cpus} processors`),
    memory < LEAST_MEMORY
      ? note('memory', `only ${size}`, 'give --memory and fewer --parts')
      : good('memory', size),
    gpus.length === 0
      ? note('gpu', 'none: the portable codec is used')
      : good(
          'gpu',
          gpus.map(({driver, name}) => `${shown(name)} (driver ${shown(driver)})`).join(', '),
        ),
  ]
}

function nvcomp({capabilities, host}: Hello, missing: string | undefined): readonly Finding[] {
  if (missing !== undefined) return [note('nvcomp', untrusted(missing, 200))]
  if (host.gpus.length === 0) return []
  const names = capabilities.filter((name) => name.startsWith('nvcomp'))
  return names.length === 0
    ? [note('nvcomp', 'not usable here: the portable codec is used')]
    : [good('nvcomp', names.map((name) => untrusted(name, 60)).join(', '))]
}

function shown(text: string): string {
  return untrusted(text, 80)
}

/** Of what there is; `df` fails for what there is not, and tells of the rest all the same. */
async function disks(session: Session, signal?: AbortSignal): Promise<readonly Finding[]> {
  const {stdout} = await session.exec(DF, signal ? {signal} : {})
  const rows = Buffer.from(stdout)
    .toString('utf8')
    .split('\n')
    .slice(1)
    .map((line) => /\s(\d+)\s+\d+%\s+(\/\S*)$/.exec(line))
  const found = rows.flatMap((row) =>
    row?.[1] !== undefined && row[2] !== undefined
      ? [{free: Number(row[1]) * 1024, mount: untrusted(row[2], 60)}]
      : [],
  )
  if (found.length === 0)
    return [bad('disk', new DumontError('BOX_UNSUITABLE', 'df does not tell how much is free'))]
  return found.map(({free, mount}) =>
    free < LEAST_FREE
      ? note(
          'disk',
          `only ${formatBytes(free)} free on ${mount}`,
          'a restore needs the room of its files',
        )
      : good('disk', `${formatBytes(free)} free on ${mount}`),
  )
}
