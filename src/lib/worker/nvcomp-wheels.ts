import {createHash} from 'node:crypto'

import type {WorkerBundle} from './worker-bundle.js'

/** Shown once for a box, before nvCOMP is put there: its licence is between NVIDIA and the box's user. */
export const NVCOMP_NOTICE =
  "installing NVIDIA's nvCOMP on the box, under NVIDIA's own licence (see LICENSE in the package nvidia-nvcomp-cu12); use --no-gpu to do without"

/** Major and minor version of the pinned nvCOMP: what it wrote, it reads. */
export const NVCOMP_READS = '6.0'

/** Pins of nvCOMP for a machine type such as x86_64; empty where there are none. */
export function nvcompRequirements(
  requirements: WorkerBundle['requirements'],
  machine: string,
): string {
  return requirements[`nvcomp-${machine}`] ?? ''
}

/** Directory names on the box, by machine type. */
export function nvcompKeys(requirements: WorkerBundle['requirements']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(requirements).flatMap(([name, text]) => {
      if (!name.startsWith('nvcomp-')) return []
      const machine = name.slice('nvcomp-'.length)
      const digest = createHash('sha256').update(text).digest('hex').slice(0, 16)
      return [[machine, `${digest}-${machine}`]]
    }),
  )
}
