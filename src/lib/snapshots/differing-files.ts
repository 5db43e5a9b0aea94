import {displayBytes} from '../format/byte-string.js'
import type {ChunkRecord} from '../format/chunk-record.js'
import type {Entry} from '../format/entry.js'
import type {IndexLine} from '../format/index-reader.js'

/** A file below its root; safe to show. */
export interface NamedFile {
  readonly path: string
  readonly root: number
}

/** A file that is stored, as a whole or in part, as what it differs by. */
export interface DifferingFile extends NamedFile {
  /** Bytes. */
  readonly size: number
  /** Bytes that its chunks take in the store, without what they differ from. */
  readonly stored: number
  /** The file with most of what it differs from; absent when no file of the snapshot has any of it. */
  readonly base?: NamedFile
}

/** Smaller files are no tensors, and many. */
const LEAST = 65_536

/** Reads an index to its end; the largest file first. */
export async function differingFiles(lines: AsyncIterable<IndexLine>): Promise<DifferingFile[]> {
  const found = new Found()
  for await (const line of lines)
    if (line.sort === 'chunk') found.chunk(line.chunk)
    else if (line.entry.kind === 'file' && !line.entry.link) found.file(line.entry)
  return found.end()
}

interface Leaning {
  readonly file: NamedFile
  readonly size: number
  stored: number
  /** Bytes by the number of the chunk that they differ from. */
  readonly bases: Map<number, number>
}

class Found {
  // By number of chunk: stored bytes for each raw one, the base, the first larger file that has it.
  readonly #shares: number[] = []
  readonly #bases: (number | undefined)[] = []
  readonly #owners: (NamedFile | undefined)[] = []
  readonly #leaning: Leaning[] = []

  chunk({chunk, delta, rawLength, stored}: ChunkRecord): void {
    this.#shares[chunk] = stored / rawLength
    this.#bases[chunk] = delta?.base
  }

  file({extents, path, root, size}: Entry): void {
    if (size < LEAST && extents.every(({chunk}) => this.#bases[chunk] === undefined)) return
    const file = {path: displayBytes(path, 4096), root}
    const leaning: Leaning = {bases: new Map(), file, size, stored: 0}
    for (const {chunk, length} of extents) {
      this.#owners[chunk] ??= file
      leaning.stored += length * (this.#shares[chunk] ?? 0)
      const base = this.#bases[chunk]
      if (base !== undefined) leaning.bases.set(base, (leaning.bases.get(base) ?? 0) + length)
    }
    if (leaning.bases.size > 0) this.#leaning.push(leaning)
  }

  end(): DifferingFile[] {
    return this.#leaning
      .map(({bases, file, size, stored}) => {
        const base = this.#mostOf(bases)
        return {...file, size, stored: Math.round(stored), ...(base && {base})}
      })
      .toSorted((one, other) => other.size - one.size)
  }

  #mostOf(bases: Leaning['bases']): NamedFile | undefined {
    const byOwner = new Map<NamedFile, number>()
    for (const [base, bytes] of bases) {
      const owner = this.#owners[base]
      if (owner) byOwner.set(owner, (byOwner.get(owner) ?? 0) + bytes)
    }
    return [...byOwner].toSorted(([, one], [, other]) => other - one)[0]?.[0]
  }
}
