import {DumontError} from '../errors.js'
import type {Manifest} from '../format/manifest.js'
import {untrusted} from '../untrusted.js'
import type {BoxService} from './service.js'

/** A library that ANS chunks need, as the manifest records it. */
export type NvidiaLibrary = NonNullable<Manifest['nvidia']>['libraries'][number]

/** The names by which a worker says that it decodes what these libraries wrote. */
export function nvidiaDecoders({nvidia}: Pick<Manifest, 'nvidia'>): readonly string[] {
  return (nvidia?.libraries ?? []).map(({name}) => name)
}

/** The same service with nvCOMP on its boxes: `required` where nothing goes without it. USAGE when that is forbidden. */
export function withNvcomp<S extends BoxService>(
  service: S,
  need: 'required' | 'wanted' | undefined,
  what: string,
): S {
  if (need === undefined) return service
  const {equipNvcomp} = service
  if (equipNvcomp) return {...service, equip: equipNvcomp(need)}
  if (need === 'wanted') return service
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
