import {createHash} from 'node:crypto'
import {join} from 'node:path'
import * as v from 'valibot'
import type {ChunkRecord} from '../format/chunk-record.js'
import type {PackRecord} from '../format/pack-list.js'
import type {Store} from '../store/store.js'
import {isHalfFull, openCheckedLines, readCheckedLines, type CheckedLines} from './checked-lines.js'
import {holdsAll, joinMarks, marksOf} from './chunk-marks.js'

/** Who read a pack: a box only says that it did. */
export type Reader = 'box' | 'operator'
/** How far a proof from a pack's bytes goes; the second includes the first. */
export type ProofLevel = 'decoded' | 'stored'

/** A pack that was found whole, with the chunks that were looked at in it. */
export interface Proof {
  readonly by: Reader
  readonly level: ProofLevel
  readonly pack: PackRecord
  readonly chunks: readonly ChunkRecord[]
}

/** What this machine remembers of the packs of a repository that were read. Times are in milliseconds by its own clock. */
export interface ProofLedger {
  /** When all of this was last proven; undefined when never. What the operator read counts for a box too. */
  provenAt(proof: Proof): number | undefined
  /** The same whichever chunks were looked at. */
  lastAt(proof: Omit<Proof, 'chunks'>): number | undefined
  /** Without chunks: the pack had its turn, but was not found whole. */
  note(proof: Proof, at: number): Promise<void>
  /** Begins a run, or (unless `again`) goes on with one of the same scope that did not end; gives when it began. */
  begin(scope: string, now: number, again: boolean): Promise<number>
  end(scope: string): Promise<void>
  close(): Promise<void>
}

/** A run that was left is not gone on with for ever: what it proved is no longer news. */
const RUN_MS = 7 * 86_400_000
const MOST_RUNS = 64

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const text = v.pipe(v.string(), v.maxLength(512))
const packLine = v.strictTuple([
  v.literal('pack'),
  v.picklist(['box', 'operator']),
  v.picklist(['decoded', 'stored']),
  text,
  text,
  whole,
  v.pipe(v.string(), v.regex(/^(?:[\w-]{12})*$/)),
])
const runLine = v.strictTuple([v.literal('run'), text, v.nullable(whole)])
const line = v.union([packLine, runLine])

type Line = v.InferOutput<typeof line>
type PackLine = v.InferOutput<typeof packLine>

/** Tells a store from its copies: of the same repository, but what was read in one proves nothing of the other. */
export async function copyOf(store: Store, signal?: AbortSignal): Promise<string> {
  const told = [store.url]
  for await (const {key, modified} of store.list('dumont.json', signal))
    told.push(`${key} ${modified}`)
  return createHash('sha256').update(told.join('\n')).digest('hex').slice(0, 16)
}

/**
 * `onFull` hears once that nothing more is written down, because the file is full or cannot be written: then what is known is
 * forgotten with this run.
 */
export async function openProofLedger(
  stateDir: string,
  {copy, repository}: {readonly copy: string; readonly repository: string},
  onFull: () => void,
): Promise<ProofLedger> {
  const path = join(stateDir, repository, `verified-${copy}.jsonl`)
  try {
    const lines = (await readCheckedLines(path)).flatMap(parse)
    const live = latestOf(lines)
    // Now and then what newer lines have replaced is left behind, and the oldest where there is too much.
    const isDue =
      lines.length === 0 || lines.length > 2 * live.length + 1000 || (await isHalfFull(path))
    const file = await openCheckedLines(path, isDue ? live : undefined)
    return ledgerOf(live, file, onFull)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    onFull()
    return forgetfulLedger()
  }
}

/** Knows only what it hears itself. */
export function forgetfulLedger(): ProofLedger {
  return ledgerOf([], undefined, () => {})
}

/** What no later line replaces, the latest last. */
function latestOf(lines: readonly Line[]): Line[] {
  const packs = new Map<string, Line>()
  const runs = new Map<string, Line>()
  for (const one of lines) {
    const [known, name] =
      one[0] === 'pack' ? [packs, nameOf(one[1], one[2], one[3])] : [runs, one[1]]
    known.delete(name)
    if (one[2] !== null) known.set(name, one)
  }
  return [...packs.values(), ...[...runs.values()].slice(-MOST_RUNS)]
}

function ledgerOf(
  lines: readonly Line[],
  file: CheckedLines | undefined,
  onFull: () => void,
): ProofLedger {
  const packs = new Map<string, PackLine>()
  const runs = new Map<string, number>()
  for (const one of lines)
    if (one[0] === 'pack') packs.set(nameOf(one[1], one[2], one[3]), one)
    else if (one[2] !== null) runs.set(one[1], one[2])
  let isFull = file === undefined
  const add = async (value: Line): Promise<void> => {
    if (isFull || (await file?.add(value).catch(() => false))) return
    isFull = true
    onFull()
  }
  const found = ({by, level, pack}: Omit<Proof, 'chunks'>): readonly PackLine[] => {
    const readers: readonly Reader[] = by === 'box' ? ['operator', 'box'] : ['operator']
    const levels: readonly ProofLevel[] = level === 'stored' ? ['stored', 'decoded'] : ['decoded']
    return readers
      .flatMap((reader) => levels.map((one) => packs.get(nameOf(reader, one, pack.key))))
      .filter((one) => one !== undefined)
      .filter((one) => one[4] === pinOf(pack))
  }
  return {
    provenAt: (proof) => latest(found(proof).filter((one) => holdsAll(one[6], proof.chunks))),
    lastAt: (proof) => latest(found(proof)),
    async note({by, chunks, level, pack}, at) {
      const name = nameOf(by, level, pack.key)
      const known = packs.get(name)
      // What is as new was found by the same run, for another snapshot.
      const before = known?.[5] === at && known[4] === pinOf(pack) ? known[6] : ''
      const marks = joinMarks(before, marksOf(chunks))
      const noted: PackLine = ['pack', by, level, pack.key, pinOf(pack), at, marks]
      packs.set(name, noted)
      await add(noted)
    },
    async begin(scope, now, again) {
      const begun = runs.get(scope)
      if (!again && begun !== undefined && begun <= now && now - begun < RUN_MS) return begun
      runs.set(scope, now)
      await add(['run', scope, now])
      return now
    },
    async end(scope) {
      runs.delete(scope)
      await add(['run', scope, null])
    },
    close: async () => file?.close(),
  }
}

function latest(lines: readonly PackLine[]): number | undefined {
  return lines.length === 0 ? undefined : Math.max(...lines.map((one) => one[5]))
}

function nameOf(...words: readonly (string | undefined)[]): string {
  return words.join(' ')
}

function pinOf({length, pin}: PackRecord): string {
  return `${length} ${pin.kind} ${pin.value}`
}

function parse(value: unknown): Line[] {
  const checked = v.safeParse(line, value)
  return checked.success ? [checked.output] : []
}
