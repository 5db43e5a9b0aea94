import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {fileURLToPath} from 'node:url'

import * as v from 'valibot'

import {DumontError} from '../errors.js'

/** What the build packed for boxes. */
export interface WorkerBundle {
  /** worker.pyz. */
  readonly worker: Uint8Array
  /** SHA-256 of it, hex. */
  readonly sha256: string
  /** Python text that prepares a box. */
  readonly equip: string
  /** Pinned wheels by `<set>-<python>-<machine>`, as pip's requirement lines with one hash each. */
  readonly requirements: Readonly<Record<string, string>>
}

const Description = v.object({
  bytes: v.number(),
  equip: v.string(),
  requirements: v.record(v.string(), v.string()),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
})

/** Reads worker.pyz and worker.json as `npm run build` left them. `directory` is `dist` itself. */
export async function loadWorkerBundle(directory = distDirectory()): Promise<WorkerBundle> {
  const description = v.parse(
    Description,
    JSON.parse(await readPart(directory, 'worker.json').then(String)),
  )
  const worker = await readPart(directory, 'worker.pyz')
  if (createHash('sha256').update(worker).digest('hex') !== description.sha256) {
    throw new DumontError(
      'INTEGRITY',
      `${directory}/worker.pyz is not the one worker.json describes`,
      {
        hint: 'install dumont again, or run npm run build',
      },
    )
  }
  return {...description, worker}
}

function readPart(directory: string, name: string): Promise<Buffer> {
  return readFile(`${directory}/${name}`).catch((cause: unknown) => {
    throw new DumontError('CONFIG', `${directory}/${name} is missing from this installation`, {
      cause,
      hint: 'install dumont again, or run npm run build',
    })
  })
}

/** This file lies in src/lib/worker or dist/lib/worker; the build's output is in dist either way. */
function distDirectory(): string {
  return fileURLToPath(new URL('../../../dist', import.meta.url))
}
