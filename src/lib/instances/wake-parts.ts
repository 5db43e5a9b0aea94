import {isDumontError} from '../errors.js'
import {formatSshAddress} from '../remote/ssh-address.js'
import {restoreSnapshot} from '../snapshots/restore-snapshot.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {untrusted} from '../untrusted.js'
import type {InstanceService} from './instance-service.js'
import {reasonOf} from './vendor-failure.js'
import type {WakeParts} from './wake-request.js'

const PROBE_MS = 30_000
const GPU_TRIES = 9
const GPU_PAUSE_MS = 20_000

/** Asks the driver itself: nvidia-smi lists GPUs that programs cannot use yet. Without Python or driver there is nothing to ask. */
const CUDA = `import ctypes, sys
try:
    cuda = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit(0)
code = cuda.cuInit(0)
print(code)
sys.exit(9 if code else 0)`

/** The real parts of a wake. Hosts are pinned to their instance before they are connected to for the first time. */
export function openWakeParts(service: InstanceService): WakeParts {
  return {
    probe: ({endpoint, instance}, signal) => {
      // An address of the operator's own is one of their SSH configuration, keys included.
      const host = endpoint.address ?? formatSshAddress(endpoint)
      if (endpoint.address === undefined) service.pinHost?.(host, instance.id)
      return probeHost(host, service, signal)
    },
    inspect: ({host, instance}, signal) =>
      inspectGpus(host, instance.spec.gpuCount, service, signal),
    restore: ({host, options, snapshot}, signal) =>
      restoreSnapshot({snapshot, hosts: [host], options}, service, signal),
  }
}

async function probeHost(
  address: string,
  {openSession}: InstanceService,
  signal?: AbortSignal,
): ReturnType<WakeParts['probe']> {
  try {
    const session = await openSession(address, signal)
    try {
      const {code} = await session.exec(['true'], {
        timeoutMs: PROBE_MS,
        ...(signal ? {signal} : {}),
      })
      if (code === 0) return {kind: 'open', host: address}
      return {kind: 'closed', why: `a command on ${untrusted(address, 200)} ended with ${code}`}
    } finally {
      await session.close()
    }
  } catch (error) {
    throwIfInterrupted(signal)
    // Whatever stands between: a key not there yet, a filtered port, a host key that is another's.
    if (!isDumontError(error)) throw error
    return {kind: 'closed', why: reasonOf(error)}
  }
}

/** Right after the start GPUs may not be ready: asked for three minutes. */
async function inspectGpus(
  host: string,
  count: number,
  {clock, openSession}: InstanceService,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (count === 0) return undefined
  const options = {timeoutMs: 60_000, ...(signal ? {signal} : {})}
  const session = await openSession(host, signal)
  try {
    for (let attempt = 1; ; attempt += 1) {
      const listed = await session.exec(['nvidia-smi', '-L'], options)
      const lines = Buffer.from(listed.stdout).toString('utf8').split('\n')
      const found = lines.filter((line) => line.startsWith('GPU ')).length
      const used = await session.exec(['python3', '-c', CUDA], options)
      const trouble =
        listed.code !== 0 || found < count
          ? `it shows ${found} of ${count} GPUs`
          : used.code === 9
            ? `its GPUs cannot be used (CUDA error ${untrusted(Buffer.from(used.stdout).toString('utf8').trim(), 10)})`
            : undefined
      if (trouble === undefined || attempt === GPU_TRIES) return trouble
      await clock.sleep(GPU_PAUSE_MS, signal)
    }
  } finally {
    await session.close()
  }
}
