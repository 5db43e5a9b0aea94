import {copyFile, mkdir, readdir, readFile, writeFile} from 'node:fs/promises'
import {dirname, join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'
import type {attemptAndCommit} from '../../src/lib/snapshots/attempt-and-commit.js'
import type {deleteSnapshots} from '../../src/lib/snapshots/delete-snapshot.js'
import type {pruneSnapshots} from '../../src/lib/snapshots/prune-snapshots.js'
import type {sweepDueMarks} from '../../src/lib/snapshots/removal.js'

/** What is put to the test: the real thing, or a copy of it that was broken on purpose. */
export interface Code {
  readonly attemptAndCommit: typeof attemptAndCommit
  readonly deleteSnapshots: typeof deleteSnapshots
  readonly pruneSnapshots: typeof pruneSnapshots
  readonly sweepDueMarks: typeof sweepDueMarks
}

/** One change to one file; the text must be there exactly once. */
export interface Break {
  readonly file: string
  readonly from: string
  readonly to: string
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const REAL = join(ROOT, 'src/lib/snapshots')

export function realCode(): Promise<Code> {
  return load(REAL)
}

/** A copy of the services with these changes; everything they stand on stays the real one. */
export async function brokenCode(name: string, breaks: readonly Break[]): Promise<Code> {
  const folder = join(ROOT, '.cache/broken', name.replaceAll(/\W+/gu, '-'))
  await mkdir(folder, {recursive: true})
  const up = relative(folder, dirname(REAL))
  for (const file of await readdir(REAL)) {
    if (!file.endsWith('.ts')) {
      await copyFile(join(REAL, file), join(folder, file))
      continue
    }
    let text = await readFile(join(REAL, file), 'utf8')
    for (const {from, to} of breaks.filter((one) => one.file === file)) {
      if (text.split(from).length !== 2)
        throw new Error(`${file} no longer holds exactly once: ${from}`)
      text = text.replace(from, () => to)
    }
    await writeFile(join(folder, file), text.replaceAll("'../", `'${up}/`))
  }
  return load(folder)
}

async function load(folder: string): Promise<Code> {
  const from = <T>(file: string) => import(join(folder, file)) as Promise<T>
  const commits = await from<Pick<Code, 'attemptAndCommit'>>('attempt-and-commit.ts')
  const deletes = await from<Pick<Code, 'deleteSnapshots'>>('delete-snapshot.ts')
  const prunes = await from<Pick<Code, 'pruneSnapshots'>>('prune-snapshots.ts')
  const removes = await from<Pick<Code, 'sweepDueMarks'>>('removal.ts')
  return {
    attemptAndCommit: commits.attemptAndCommit,
    deleteSnapshots: deletes.deleteSnapshots,
    pruneSnapshots: prunes.pruneSnapshots,
    sweepDueMarks: removes.sweepDueMarks,
  }
}
