import {DumontError} from '../errors.js'
import type {CreateSnapshotRequest} from '../snapshots/create-request.js'

type Codec = CreateSnapshotRequest['codec']

/** What is to be ended must come back anywhere, unless both were said: by which codec, and that it need not. USAGE else. */
export function codecToEnd(asked: Codec | undefined, acceptsGpuOnly: boolean): Codec {
  if (asked === undefined || asked === 'auto') return 'zstd'
  if (asked !== 'ans' || acceptsGpuOnly) return asked
  throw new DumontError('USAGE', '--codec ans needs an NVIDIA GPU to come back', {
    hint: 'add --accept-gpu-only, or take --codec gzstd or zstd',
  })
}
