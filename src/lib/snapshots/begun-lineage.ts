import {createHash} from 'node:crypto'
import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import {readIfThere, writeWhole} from './state-file.js'

/** A lineage whose first snapshot was begun; kept so that an interrupted one is continued and not begun anew. */
export interface BegunLineage {
  readonly id: string
  /** When the first snapshot is committed, the store knows the lineage. */
  finish(): Promise<void>
}

/** The lineage begun here for the same box, label and paths, or a new one with this random id. */
export async function beginLineage(
  stateDir: string,
  of: {
    readonly repository: string
    readonly box: string
    readonly label: string
    readonly roots: readonly string[]
  },
  fresh: string,
): Promise<BegunLineage> {
  const {box, label, repository, roots} = of
  const name = createHash('sha256')
    .update(JSON.stringify([box, label, roots]))
    .digest('hex')
  const path = join(stateDir, repository, 'begun', name)
  const known = await readIfThere(path)
  const isKnown = known !== undefined && /^[0-9a-f]{32}$/.test(known)
  if (!isKnown) await writeWhole(path, fresh)
  return {id: isKnown ? known : fresh, finish: () => rm(path, {force: true})}
}
