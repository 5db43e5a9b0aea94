import {createHash} from 'node:crypto'
import {gunzipSync, gzipSync} from 'node:zlib'
import {decodeEntry} from '../../../src/lib/format/entry.js'
import {leafOf} from '../../../src/lib/format/entry-leaf.js'
import {MerkleTree} from '../../../src/lib/format/merkle.js'
import type {ParityGroup} from '../../../src/lib/format/group-list.js'
import type {PackRecord} from '../../../src/lib/format/pack-list.js'
import {pinOf} from '../../../src/lib/store/pin.js'
import type {Store} from '../../../src/lib/store/store.js'
import type {MessageOf, ObjectToSign} from '../../../src/lib/worker/protocol.js'
import type {GrantedUrl, OperatorMessage} from '../../../src/lib/worker/requests.js'
import type {CreateResult} from '../../../src/lib/worker/results.js'
import {openedByBox, sealedByBox, type WireSeal} from '../../support/box-seal.js'
import {ScriptedWorker} from '../../support/scripted-worker.js'

type Stored = PackRecord & {bytes: Buffer}
type Group = ParityGroup

type CreateMessage = Extract<OperatorMessage, {type: 'create'}>

interface Chunk {
  readonly hash: string
  readonly raw: number
  readonly pack: string
  readonly at: number
  readonly stored: number
  readonly frame: string
}

/** Where a test may bend what a good worker does. */
export interface Bends {
  /** The workspace: names and contents. */
  files: Record<string, string>
  hello?: Partial<MessageOf<'hello'>>
  /** Before anything else of a create. */
  onCreate?: (worker: GoodWorker, request: CreateMessage) => Promise<void>
  /** Puts an uploaded object; leave it out and the worker lies about it. */
  upload?: (key: string, bytes: Uint8Array, put: () => Promise<void>) => Promise<void>
  packList?: (packs: PackRecord[]) => PackRecord[]
  groups?: (groups: Group[]) => unknown[]
  indexLines?: (lines: Record<string, unknown>[]) => Record<string, unknown>[]
  result?: (result: CreateResult) => CreateResult
  /** Packs of an earlier run to ask for; each holds all the files, in their order. */
  journal?: readonly PackRecord[]
}

/** Makes snapshots of a pretended workspace as docs/protocol.md says: one chunk a file, one pack for what is new. */
export class GoodWorker extends ScriptedWorker {
  readonly #store: Store
  readonly #bends: Bends
  #questions = 0
  #seal: WireSeal | undefined
  accepted: readonly string[] = []

  constructor(store: Store, bends: Bends) {
    super()
    this.#store = store
    this.#bends = bends
    this.greet(bends.hello)
    void this.#serve()
  }

  async sign(objects: readonly ObjectToSign[]): Promise<string[]> {
    const id = ++this.#questions
    this.say({type: 'sign', id, objects: [...objects]})
    const reply = await this.hears('reply')
    return (reply.urls ?? []).map(({key}) => key)
  }

  async #serve(): Promise<void> {
    for (;;) {
      const request = await this.hears('create')
      const result = await this.#create(request)
      if (result) this.say({type: 'result', to: request.id, ...result})
    }
  }

  async #create(request: CreateMessage): Promise<CreateResult | undefined> {
    const {files} = this.#bends
    await this.#bends.onCreate?.(this, request)
    this.#seal = request.seal ?? undefined
    const raw = Object.values(files).reduce((sum, text) => sum + text.length, 0)
    this.say({...PROGRESS, rawTotal: raw})
    const earlier = await this.#askEarlier()
    const known = await this.#parentChunks(request)
    const packs = new Map([...known.packs, ...earlier.map((pack) => [pack.key, pack] as const)])
    const chunks = new Map(known.chunks)
    for (const {key} of earlier)
      layOut(Object.values(files), key, {chunks, isSealed: this.#seal !== undefined})
    const fresh = Object.values(files).filter((text) => !chunks.has(hashOf(text)))
    if (request.dryRun) return {...this.#result(request, {raw, all: 0, chunks: 0}), sample: []}
    const groups = [...known.groups]
    if (fresh.length > 0) {
      const pack = await this.#store1('pack', fresh.map(frameOf))
      packs.set(pack.key, pack)
      groups.push(...(await this.#protect(request, pack)))
      layOut(fresh, pack.key, {chunks, isSealed: this.#seal !== undefined})
    }
    return this.#index(request, {chunks, groups, packs, raw})
  }

  async #index(
    request: CreateMessage,
    {
      chunks,
      groups,
      packs,
      raw,
    }: {
      chunks: Map<string, Chunk>
      groups: readonly Group[]
      packs: Map<string, PackRecord>
      raw: number
    },
  ): Promise<CreateResult> {
    const {files, indexLines = (same) => same, packList = (same) => same} = this.#bends
    const named: string[] = []
    const numbers = new Map<string, number>()
    const lines: Record<string, unknown>[] = [{...ENTRY, entry: 'dir', path: ''}]
    let all = 0
    for (const [path, text] of Object.entries(files).toSorted(([one], [other]) =>
      one < other ? -1 : 1,
    )) {
      const chunk = chunks.get(hashOf(text)) as Chunk
      if (!numbers.has(chunk.hash)) {
        if (!named.includes(chunk.pack)) named.push(chunk.pack)
        numbers.set(chunk.hash, numbers.size)
        all += chunk.stored
        const {pack, ...fields} = chunk
        lines.push({
          ...fields,
          chunk: numbers.size - 1,
          pack: named.indexOf(pack),
          transform: 'none',
          codec: 'none',
        })
      }
      const extents = [[0, numbers.get(chunk.hash), 0, text.length]]
      lines.push({
        ...ENTRY,
        entry: 'file',
        path,
        size: text.length,
        hash: hashOf(`content ${text}`),
        extents,
      })
    }
    const head = {
      kind: 'index',
      format: 1,
      snapshot: request.snapshot,
      segment: 0,
      cutter: 1,
      scannedAt: '1',
    }
    const segment = await this.#store1('segment', [gzipped([head, ...indexLines(lines)])])
    const list = packList(named.map((key) => packs.get(key) as PackRecord))
    const packLines = list.map((pack, number) => ({pack: number, ...pack}))
    const packObject = await this.#store1('packs', [
      gzipped([{kind: 'packs', format: 1, snapshot: request.snapshot}, ...packLines]),
    ])
    const result = this.#result(request, {raw, all, chunks: numbers.size})
    const tree = new MerkleTree()
    for (const line of lines) if ('entry' in line) tree.add(leafOf(decodeEntry(line)))
    const entries = lines.filter((line) => 'entry' in line).length
    const index = {
      segments: [digested(segment)],
      packs: digested(packObject),
      ...(await this.#groupList(request, {groups, named, own: [segment, packObject]})),
      entries,
      chunks: numbers.size,
      merkle: tree.root(),
    }
    return (this.#bends.result ?? ((same) => same))({...result, index})
  }

  #result(
    request: CreateMessage,
    {all, raw}: {raw: number; all: number; chunks: number},
  ): CreateResult {
    const count = Object.keys(this.#bends.files).length
    return {
      roots: request.roots.map((path) => ({path, type: 'dir'})),
      counts: {
        entries: count + 1,
        files: count,
        dirs: 1,
        symlinks: 0,
        others: 0,
        torn: 0,
        unreadable: 0,
      },
      bytes: {raw, new: 0, stored: 0, all, codecs: {}},
      seconds: {scan: 0.1, transfer: 0.2, total: 0.3},
      skippedMounts: [],
      decoders: [],
      warnings: {},
      notes: {},
      leftOut: {},
      reusedPacks: this.accepted.length,
    }
  }

  /** A group of one: whatever it is multiplied by, its sums are what it is. */
  async #protect({parity = 0}: CreateMessage, object: Stored): Promise<Group[]> {
    const sums: Stored[] = []
    while (sums.length < parity) sums.push(await this.#store1('parity', [object.bytes]))
    return sums.length > 0 ? [{members: [plain(object)], parity: sums.map(plain)}] : []
  }

  async #groupList(
    request: CreateMessage,
    {
      groups,
      named,
      own,
    }: {readonly groups: readonly Group[]; readonly named: readonly string[]; own: Stored[]},
  ) {
    const all = groups.filter(({members}) => members.some(({key}) => named.includes(key)))
    for (const object of own) all.push(...(await this.#protect(request, object)))
    if (all.length === 0) return {}
    const lines = (this.#bends.groups ?? ((same: Group[]) => same))(all)
    const list = await this.#store1('groups', [
      gzipped([
        {kind: 'groups', format: 1, snapshot: request.snapshot},
        ...lines.map((line, group) => Object.assign({group}, line)),
      ]),
    ])
    return {groups: digested(list)}
  }

  async #store1(kind: ObjectToSign['kind'], pieces: readonly Buffer[]): Promise<Stored> {
    const sealed =
      this.#seal && kind !== 'parity' ? sealedByBox(this.#seal, kind, pieces) : undefined
    const bytes = sealed?.bytes ?? Buffer.concat(pieces)
    const pin = pinOf('crc32', bytes)
    const [key = ''] = await this.sign([{kind, part: 0, length: bytes.length, pin}])
    const put = async () => {
      await this.#store.put(key, bytes)
    }
    await (this.#bends.upload ? this.#bends.upload(key, bytes, put) : put())
    return {key, length: bytes.length, pin, bytes, ...(sealed && {seal: sealed.seal})}
  }

  async #askEarlier(): Promise<PackRecord[]> {
    const {journal = []} = this.#bends
    if (journal.length === 0) return []
    this.say({type: 'earlier', id: ++this.#questions, packs: [...journal]})
    this.accepted = (await this.hears('reply')).accepted ?? []
    return journal.filter(({key}) => this.accepted.includes(key))
  }

  async #parentChunks({parent}: CreateMessage) {
    const chunks = new Map<string, Chunk>()
    const packs = new Map<string, PackRecord>()
    const groups: Group[] = []
    if (!parent?.reuse) return {chunks, groups, packs}
    this.say({
      type: 'fetch',
      id: ++this.#questions,
      keys: [
        parent.packs.key,
        ...parent.segments.map(({key}) => key),
        ...(parent.groups ? [parent.groups.key] : []),
      ],
    })
    const [list, ...segments] = (await this.hears('reply')).urls ?? []
    const grouping = parent.groups && segments.pop()
    const keys: string[] = []
    for (const line of linesOf(await this.#read('packs', list)).slice(1)) {
      const {pack: _number, ...pack} = line as unknown as PackRecord & {pack: number}
      keys.push(pack.key)
      packs.set(pack.key, pack)
    }
    for (const segment of segments)
      for (const line of linesOf(await this.#read('segment', segment))) {
        if (!('chunk' in line)) continue
        const chunk = {...(line as unknown as Chunk), pack: keys[line['pack'] as number] ?? ''}
        if (!parent.unusable.includes(chunk.pack)) chunks.set(chunk.hash, chunk)
      }
    for (const line of grouping ? linesOf(await this.#read('groups', grouping)).slice(1) : []) {
      const {members, parity} = line as unknown as Group
      const isWhole = [...members, ...parity].every(({key}) => !parent.unusable.includes(key))
      if (isWhole) groups.push({members, parity})
    }
    return {chunks, groups, packs}
  }

  async #read(
    kind: 'groups' | 'packs' | 'segment',
    granted: GrantedUrl | undefined,
  ): Promise<Uint8Array> {
    const bytes = await this.#store.get(granted?.key ?? '')
    return granted?.seal ? openedByBox(granted.seal, kind, bytes) : bytes
  }
}

const PROGRESS = {
  type: 'progress',
  phase: 'scan',
  files: 0,
  filesTotal: 0,
  raw: 0,
  rawTotal: 0,
  stored: 0,
  transferred: 0,
  parts: [],
} satisfies MessageOf<'progress'>
const ENTRY = {root: 0, mode: 0o644, uid: 0, gid: 0, mtime: '0'}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Notes where the chunks of these files lie when a pack holds them one after the other. */
function layOut(
  texts: readonly string[],
  pack: string,
  {chunks, isSealed}: {readonly chunks: Map<string, Chunk>; readonly isSealed: boolean},
): void {
  let at = isSealed ? 128 : 0
  for (const text of texts) {
    const [hash, stored] = [hashOf(text), frameOf(text).length + (isSealed ? 16 : 0)]
    chunks.set(hash, {hash, raw: text.length, pack, at, stored, frame: hashOf(`frame ${text}`)})
    at += stored
  }
}

function frameOf(text: string): Buffer {
  return Buffer.concat([Buffer.alloc(56, 1), Buffer.from(text)])
}

function gzipped(values: readonly object[]): Buffer {
  return gzipSync(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
}

function linesOf(object: Uint8Array): Record<string, unknown>[] {
  const text = gunzipSync(object).toString('utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

function plain({key, length, pin}: PackRecord): Pick<PackRecord, 'key' | 'length' | 'pin'> {
  return {key, length, pin}
}

function digested({bytes, key, length, seal}: Stored) {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return {key, length, sha256, ...(seal !== undefined && {seal})}
}
