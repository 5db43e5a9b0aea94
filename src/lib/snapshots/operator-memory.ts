import {rm} from 'node:fs/promises'
import {join} from 'node:path'
import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'
import {lineagesOf, type Lineage} from './lineages.js'
import type {StoredManifest, Survey, UnreadableManifest} from './manifests.js'
import {namesIn, readIfThere, writeWhole} from './state-file.js'

const remembered = v.object({
  lineage: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  label: v.string(),
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  snapshot: v.string(),
})

/** The newest snapshot of a lineage that this operator's machine has seen. */
export type Remembered = v.InferOutput<typeof remembered>

/** What this machine has seen of one repository, so that a store that was set back is noticed. */
export interface OperatorMemory {
  all(): Promise<readonly Remembered[]>
  /** Raises what is known; a lower sequence changes nothing. */
  remember(seen: Remembered): Promise<void>
  /** After a deletion of our own, or when the operator accepts what the store shows. */
  replace(lineage: string, seen: Remembered | undefined): Promise<void>
}

/** One small file a lineage, so that two commands at once do not undo each other. */
export function openOperatorMemory(stateDir: string, repository: string): OperatorMemory {
  const folder = join(stateDir, repository, 'lineages')
  const pathOf = (lineage: string) => join(folder, `${lineage}.json`)
  const replace: OperatorMemory['replace'] = async (lineage, seen) => {
    if (seen) await writeWhole(pathOf(lineage), JSON.stringify(seen))
    else await rm(pathOf(lineage), {force: true})
  }
  return {
    replace,
    async all() {
      const names = (await namesIn(folder)).filter((name) => /^[0-9a-f]{32}\.json$/.test(name))
      const found = await Promise.all(names.map((name) => readOne(join(folder, name))))
      return found.filter((one) => one !== undefined)
    },
    async remember(seen) {
      const known = await readOne(pathOf(seen.lineage))
      if (!known || known.sequence <= seen.sequence) await replace(seen.lineage, seen)
    },
  }
}

/** What memory keeps of a lineage's newest snapshot. */
export function rememberedOf({id, manifest}: Pick<StoredManifest, 'id' | 'manifest'>): Remembered {
  const {label, lineage, sequence} = manifest
  return {label, lineage, sequence, snapshot: id}
}

/** Lineages of which this machine has seen a newer state than the store shows, deleted by nobody here. */
export async function findRollbacks(
  memory: OperatorMemory,
  manifests: readonly StoredManifest[],
  concerns: (lineage: {readonly id: string; readonly label: string}) => boolean,
): Promise<readonly {readonly seen: Remembered; readonly found: Lineage | undefined}[]> {
  const lineages = new Map(lineagesOf(manifests).map((lineage) => [lineage.id, lineage]))
  return (await memory.all())
    .filter(({label, lineage}) => concerns({id: lineage, label}))
    .map((seen) => ({seen, found: lineages.get(seen.lineage)}))
    .filter(({seen, found}) => (found?.head.manifest.sequence ?? 0) < seen.sequence)
}

/** Refuses (INTEGRITY) a store that shows less than was seen before; `accept` makes what it shows the new truth. */
export async function refuseRollback(
  memory: OperatorMemory,
  manifests: readonly StoredManifest[],
  concerns: Parameters<typeof findRollbacks>[2],
  accept: boolean,
): Promise<void> {
  for (const {seen, found} of await findRollbacks(memory, manifests, concerns)) {
    if (!accept) throw rolledBack(seen, found)
    await memory.replace(seen.lineage, found && rememberedOf(found.head))
  }
}

/** Makes what the store shows the truth for every lineage, but for snapshots that cannot be read. */
export async function acceptShown(
  memory: OperatorMemory,
  {readable, unreadable}: Survey,
): Promise<void> {
  const there = new Set(unreadable.map(({id}) => id))
  for (const {found, seen} of await findRollbacks(memory, readable, () => true))
    if (!there.has(seen.snapshot))
      await memory.replace(seen.lineage, found && rememberedOf(found.head))
}

/** Newest snapshots that this machine has seen and the store does not show at all, as snapshots that cannot be read. */
export async function missingHeads(
  memory: OperatorMemory,
  {readable, unreadable}: Survey,
): Promise<readonly UnreadableManifest[]> {
  const there = new Set(unreadable.map(({id}) => id))
  const rollbacks = await findRollbacks(memory, readable, () => true)
  return rollbacks
    .filter(({seen}) => !there.has(seen.snapshot))
    .map(({found, seen}) => ({
      id: seen.snapshot,
      key: `snapshots/${seen.snapshot}.json`,
      error: rolledBack(seen, found),
    }))
}

function rolledBack(seen: Remembered, found: Lineage | undefined): DumontError {
  const shows = found
    ? `shows only ${found.head.id} (number ${found.head.manifest.sequence})`
    : 'shows none of it'
  return new DumontError(
    'INTEGRITY',
    `snapshot ${untrusted(seen.snapshot)} (number ${seen.sequence} of ${untrusted(seen.label)}) was here before, the store ${shows}`,
    {
      hint: 'if somebody deleted it on purpose, add --accept-rollback; else the store was set back or its manifest is damaged',
    },
  )
}

async function readOne(path: string): Promise<Remembered | undefined> {
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  try {
    return v.parse(remembered, JSON.parse(text))
  } catch (cause) {
    throw new DumontError('INTEGRITY', `${path} is damaged`, {
      cause,
      hint: 'it remembers the newest snapshot seen; remove it to trust what the store shows',
    })
  }
}
