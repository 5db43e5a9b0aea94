import {isDumontError} from '../errors.js'
import type {WheelSource} from './native-wheels.js'
import {NVCOMP_NOTICE, nvcompKeys, nvcompRequirements} from './nvcomp-wheels.js'
import {provideWheels, type Asked} from './provide-wheels.js'

export interface NvcompOptions {
  /**
   * `required`: fails when it cannot be had, and sends it from here if need be; `wanted`: goes on without; `later`: is used
   * where it is, and else installed when `installNvcomp` is called.
   */
  readonly need: 'later' | 'required' | 'wanted'
  /** Called with whose licence it is under before it is installed on this box, and only then. */
  readonly onInstall: (notice: string) => void
}

/** What became of nvCOMP on a box. */
export interface NvcompFound {
  /** Where nvCOMP lies, if it was asked for and could be had. */
  readonly nvcompPath?: string
  /** SHA-256 of the wheels it is made of, hex. */
  readonly nvcompWheels?: readonly string[]
  /** Why nvCOMP that was wanted is not there. */
  readonly nvcompMissing?: string
  /** Installs nvCOMP that may be wanted later, once; gives where it lies, undefined when it cannot be had. */
  readonly installNvcomp?: (signal?: AbortSignal) => Promise<string | undefined>
}

interface LookedAt extends Asked {
  readonly look: Asked['look'] & {
    readonly driver: boolean
    readonly nvcomp: boolean
    readonly platform: string
  }
}

/** Finds nvCOMP on a box that was looked at, or puts it there; errors as `equipBox`. */
export async function equipNvcomp(
  box: LookedAt,
  {nvcomp, wheels}: {readonly nvcomp?: NvcompOptions; readonly wheels: WheelSource},
  signal?: AbortSignal,
): Promise<NvcompFound> {
  if (nvcomp === undefined) return {}
  const {bundle, look} = box
  const machine = look.platform.split('-')[1] ?? ''
  const key = nvcompKeys(bundle.requirements)[machine]
  if (key === undefined) return {nvcompMissing: `there is no nvCOMP for ${machine}`}
  const requirements = nvcompRequirements(bundle.requirements, machine)
  const found = {
    nvcompPath: `${look.private}/nvcomp-${key}`,
    nvcompWheels: [...requirements.matchAll(/sha256:([0-9a-f]{64})/g)].map(
      ([, hash]) => hash ?? '',
    ),
  }
  if (look.nvcomp) return found
  if (!look.driver) return {nvcompMissing: 'no NVIDIA driver was found'}
  const install = async (ending?: AbortSignal): Promise<NvcompFound> => {
    nvcomp.onInstall(NVCOMP_NOTICE)
    const set = {key, kind: 'nvcomp' as const, requirements}
    try {
      await provideWheels(box, set, nvcomp.need === 'required' ? wheels : undefined, ending)
    } catch (error) {
      // Other bytes than the pinned ones are nothing to go on after, whoever wanted them.
      const mayGoOn =
        nvcomp.need !== 'required' && isDumontError(error) && error.code !== 'INTEGRITY'
      if (!mayGoOn) throw error
      return {nvcompMissing: error.message}
    }
    return found
  }
  if (nvcomp.need !== 'later') return install(signal)
  let installing: Promise<NvcompFound> | undefined
  return {
    installNvcomp: async (ending) => (await (installing ??= install(ending))).nvcompPath,
    nvcompWheels: found.nvcompWheels,
  }
}
