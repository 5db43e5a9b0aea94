import {appendFile, mkdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import * as v from 'valibot'
import {isSnapshotId, snapshotTime} from '../format/snapshot-id.js'
import {pin} from '../worker/wire-values.js'
import {namesIn, readIfThere} from './state-file.js'

const line = v.object({key: v.string(), length: v.number(), pin, lineage: v.string()})

/** One object this machine has signed an upload for: what lies under its key can be nothing else. */
export type SignedObject = v.InferOutput<typeof line>

/** Which uploads were signed, kept until their snapshot is committed. */
export interface SigningRecord {
  append(snapshot: string, objects: readonly SignedObject[]): Promise<void>
  /** What was signed for an earlier run, by key; empty when this machine knows nothing of it. */
  read(snapshot: string): Promise<ReadonlyMap<string, SignedObject>>
  /** Forgets a snapshot that is committed, and runs that nobody took up again for two weeks. */
  tidy(committed: string, now: number): Promise<void>
}

const KEPT_MS = 14 * 24 * 3_600_000

/** JSON lines, one file a run. A damaged line counts as none: the object is then read again before it is believed. */
export function openSigningRecord(stateDir: string, repository: string): SigningRecord {
  const folder = join(stateDir, repository, 'signed')
  const pathOf = (snapshot: string) => join(folder, `${snapshot}.jsonl`)
  return {
    async append(snapshot, objects) {
      await mkdir(folder, {mode: 0o700, recursive: true})
      const text = objects.map((object) => `${JSON.stringify(object)}\n`).join('')
      await appendFile(pathOf(snapshot), text, {mode: 0o600})
    },
    async read(snapshot) {
      if (!isSnapshotId(snapshot)) return new Map()
      const text = (await readIfThere(pathOf(snapshot))) ?? ''
      const objects = text.split('\n').flatMap(parse)
      return new Map(objects.map((object) => [object.key, object]))
    },
    async tidy(committed, now) {
      const names = await namesIn(folder)
      const old = names.filter((name) => isOld(name.replace(/\.jsonl$/, ''), now))
      for (const name of [...old, `${committed}.jsonl`]) await rm(join(folder, name), {force: true})
    },
  }
}

function isOld(snapshot: string, now: number): boolean {
  const time = snapshotTime(snapshot)
  return time !== undefined && now - time.getTime() > KEPT_MS
}

function parse(text: string): SignedObject[] {
  try {
    return [v.parse(line, JSON.parse(text))]
  } catch {
    return []
  }
}
