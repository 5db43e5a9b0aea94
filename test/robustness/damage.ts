import {existsSync} from 'node:fs'
import {readdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Dice} from './dice.js'

/** One object of a store that was spoilt or dropped on purpose. */
export interface DamagedObject {
  readonly how: 'dropped' | 'spoilt'
  putBack(): Promise<void>
}

/** Damages an object that this snapshot is sure to need: a pack of its own, or its index. `store` is its directory. */
export async function damageOne(store: string, id: string, dice: Dice): Promise<DamagedObject> {
  const below = async (kind: string) =>
    (await readdir(join(store, kind, id)).catch(() => [])).map((name) =>
      join(store, kind, id, name),
    )
  const [packs, index] = [await below('packs'), await below('index')]
  const victim = dice.one(packs.length > 0 && dice.isWithin(0.8) ? packs : index)
  const how = dice.isWithin(0.4) ? 'dropped' : 'spoilt'
  const [bytes, aside] = [await readFile(victim), join(store, '..', `aside-${dice.below(1e9)}`)]
  // Moved, so that whatever the store has noted of it moves along.
  await rename(victim, aside)
  if (how === 'spoilt') {
    const at = dice.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8))
    await writeFile(victim, bytes)
  }
  return {
    how,
    putBack: async () => {
      await rm(victim, {force: true})
      await rename(aside, victim)
    },
  }
}

/** Files that were restored, and not as they are in the copy. */
export async function wrongFiles(
  copy: string,
  target: string,
  files: readonly string[],
): Promise<string[]> {
  const wrong: string[] = []
  for (const file of files) {
    const [saved, restored] = [join(copy, file), join(target, file)]
    if (!existsSync(restored)) continue
    if (!(await readFile(saved)).equals(await readFile(restored))) wrong.push(file)
  }
  return wrong
}
