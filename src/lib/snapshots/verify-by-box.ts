import {withNvcomp} from './nvidia-need.js'
import {onBox} from './on-box.js'
import {readOnBox, type BoxReading} from './read-on-box.js'
import type {BoxService} from './service.js'
import {verifySnapshots, type VerifyManyRequest, type VerifyManyResult} from './verify-snapshots.js'

export interface BoxVerifyRequest extends Omit<VerifyManyRequest, 'box'>, BoxReading {
  readonly host: string
}

/** As `verifySnapshots`, but a box reads the packs; when its connection is lost, a new one goes on where the old was. */
export async function verifyByBox(
  {host, memory, parts, ...request}: BoxVerifyRequest,
  {repository, service}: {readonly service: BoxService; readonly repository: string},
  signal?: AbortSignal,
): Promise<VerifyManyResult> {
  const {level, snapshots} = request
  const gpu = level === 'decoded' && snapshots.find(({manifest}) => manifest.nvidia !== null)
  const equipped = gpu ? withNvcomp(service, 'required', gpu.id) : service
  let {again} = request
  return onBox(
    host,
    equipped,
    (connected) => {
      const reading = {parts, ...(memory === undefined ? {} : {memory})}
      const box = readOnBox(connected, reading, service)
      const run = {...request, again, box}
      again = false
      return verifySnapshots(run, {repository, service}, signal)
    },
    signal,
  )
}
