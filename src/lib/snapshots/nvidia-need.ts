import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import {untrusted} from '../untrusted.js'
import type {NvcompOptions} from '../worker/equip-nvcomp.js'
import {NVCOMP_READS} from '../worker/nvcomp-wheels.js'
import type {ConnectedBox} from './connect-worker.js'
import type {BoxService} from './service.js'

/** A library that ANS chunks need, as the manifest records it. */
export type NvidiaLibrary = NonNullable<Manifest['nvidia']>['libraries'][number]

/** Before anything is downloaded: a codec that this box cannot undo would only be met in the middle. */
export function checkDecoders(
  manifest: Manifest,
  {equipment, session, worker}: ConnectedBox,
): void {
  const {decoders, id} = manifest
  const needed = [...decoders, ...(manifest.nvidia?.libraries ?? []).map(({name}) => name)]
  const missing = needed.filter((name) => !worker.hello.capabilities.includes(name))
  if (missing.length === 0) return
  const why = equipment.nvcompMissing ? ` (${equipment.nvcompMissing})` : ''
  const names = missing.map((name) => untrusted(name, 40)).join(', ')
  throw new DumontError(
    'BOX_UNSUITABLE',
    `${session.label} cannot decode ${id}: it lacks ${names}${why}`,
    {
      hint: wayOut(manifest),
    },
  )
}

/** Before anything is read: no machine without a GPU decodes what ANS coded, so BOX_UNSUITABLE for level `decoded`. */
export function checkDecodableHere(manifests: readonly Manifest[]): void {
  const found = manifests.find(({nvidia}) => nvidia !== null)
  if (found === undefined) return
  throw new DumontError(
    'BOX_UNSUITABLE',
    `${found.id} has chunks that only an NVIDIA GPU decodes, and this machine reads packs without one`,
    {
      hint: 'verify with --host GPUBOX, whose word it is then; or with --level stored, which compares every stored byte with its hash',
    },
  )
}

/**
 * Whether some of it was coded by another generation of nvCOMP than the one this release puts on boxes. Leaning on that
 * and adding chunks of its own would make a snapshot that no box can read.
 */
export function isForeign(nvidia: Manifest['nvidia']): boolean {
  return nvidia?.libraries.some(({version}) => !isReadable(version)) ?? false
}

/** Only what shares major and minor version is known to share the format. */
function isReadable(version: string): boolean {
  return version.startsWith(`${NVCOMP_READS}.`)
}

function wayOut({id, nvidia, versions}: Manifest): string {
  if (nvidia === null)
    return 'update dumont, or restore to a box that has what the snapshot needs (see `dumont snapshot show`)'
  if (isForeign(nvidia)) {
    const made = nvidia.libraries.map(({version}) => untrusted(version, 40)).join(' and ')
    return `it was coded by nvCOMP ${made}, and this release brings ${NVCOMP_READS}: restore or transcode it with dumont ${untrusted(versions['dumont'] ?? 'of then', 40)}`
  }
  return `restore to a box with an NVIDIA GPU of its generation, or make a snapshot that restores anywhere: dumont snapshot transcode ${id} --host GPUBOX`
}

/** The same service with nvCOMP on its boxes: `required` where nothing goes without it. USAGE when that is forbidden. */
export function withNvcomp<S extends BoxService>(
  service: S,
  need: NvcompOptions['need'] | undefined,
  what: string,
): S {
  if (need === undefined) return service
  const {equipNvcomp} = service
  if (equipNvcomp) return {...service, equip: equipNvcomp(need)}
  if (need !== 'required') return service
  throw new DumontError('USAGE', `${untrusted(what, 60)} needs a GPU, which is forbidden here`, {
    hint: 'leave out --no-gpu, and set neither gpu to false in a configuration file nor DUMONT_GPU',
  })
}

/** What a snapshot's ANS chunks need: of this run's library, and of the parent's where chunks were inherited. */
export function joinNvidia(
  decoders: readonly string[],
  libraries: readonly NvidiaLibrary[],
): Manifest['nvidia'] {
  if (!decoders.includes('ans')) return null
  const known = new Map(libraries.map((library) => [`${library.name} ${library.version}`, library]))
  return {libraries: [...known.values()]}
}
