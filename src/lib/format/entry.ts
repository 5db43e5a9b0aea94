import {type ByteString, fromBase64, fromByteString} from './byte-string.js'
import {type Fields, isFields, wholeNumber} from './fields.js'
import {damaged} from './integrity.js'

export type EntryKind = 'block' | 'char' | 'dir' | 'fifo' | 'file' | 'symlink'

/** `length` bytes of a file from `offset` on are those of a chunk from `at` on. */
export interface Extent {
  readonly offset: number
  readonly chunk: number
  readonly at: number
  readonly length: number
}

/** One line of the tree. Numbers are bytes, times nanoseconds since the epoch. */
export interface Entry {
  readonly kind: EntryKind
  readonly root: number
  /** Below the root; empty for the root itself. */
  readonly path: Buffer
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly user: Buffer | undefined
  readonly group: Buffer | undefined
  readonly mtime: bigint
  readonly xattrs: readonly (readonly [name: Buffer, value: Buffer])[]
  /** Files only; 0 otherwise. */
  readonly size: number
  /** Content hash, hexadecimal; files only. */
  readonly hash: string | undefined
  readonly extents: readonly Extent[]
  /** The first member of the hard link group. */
  readonly link: {readonly root: number; readonly path: Buffer} | undefined
  readonly target: Buffer | undefined
  readonly device: readonly [major: number, minor: number] | undefined
  readonly torn: boolean
}

const CHUNK_MAX = 4_194_304
const UINT32 = 0xff_ff_ff_ff
const WIDE = /^(?:0|-?[1-9]\d{0,29})$/
const HASH = /^[0-9a-f]{64}$/

const LINKABLE = ['file', 'symlink', 'fifo', 'char', 'block']
const KINDS = new Set([...LINKABLE, 'dir'])
/** Fields that only some kinds may have. */
const RESERVED: readonly (readonly [string, readonly string[]])[] = [
  ['size', ['file']],
  ['hash', ['file']],
  ['extents', ['file']],
  ['torn', ['file']],
  ['stat', ['file']],
  ['target', ['symlink']],
  ['device', ['char', 'block']],
  ['link', LINKABLE],
]

/** The entry of an index line; INTEGRITY for every value that format 1 forbids. */
export function decodeEntry(line: Fields): Entry {
  const kind = entryKind(line['entry'])
  for (const [name, kinds] of RESERVED)
    if (name in line && !kinds.includes(kind)) throw damaged(`a ${kind} with ${name}`)
  const size = kind === 'file' ? wholeNumber(line, 'size') : 0
  if ('stat' in line) checkStat(line['stat'])
  return {
    kind,
    root: wholeNumber(line, 'root', UINT32),
    path: entryPath(line['path']),
    mode: wholeNumber(line, 'mode', 0o7777),
    uid: wholeNumber(line, 'uid', UINT32),
    gid: wholeNumber(line, 'gid', UINT32),
    user: 'user' in line ? fromByteString(line['user']) : undefined,
    group: 'group' in line ? fromByteString(line['group']) : undefined,
    mtime: wide(line['mtime']),
    xattrs: 'xattrs' in line ? xattrs(line['xattrs']) : [],
    size,
    hash: kind === 'file' ? hash(line['hash']) : undefined,
    extents: 'extents' in line ? extents(line['extents'], size) : [],
    link: 'link' in line ? link(line['link']) : undefined,
    target: kind === 'symlink' ? target(line['target']) : undefined,
    device: kind === 'char' || kind === 'block' ? device(line['device']) : undefined,
    torn: 'torn' in line ? torn(line['torn']) : false,
  }
}

function entryKind(value: unknown): EntryKind {
  if (typeof value !== 'string' || !KINDS.has(value)) throw damaged('an entry of unknown kind')
  return value as EntryKind
}

function entryPath(value: unknown): Buffer {
  const path = fromByteString(value)
  if (!isPlainPath(path.toString('latin1')))
    throw damaged('a path leaves its root or is not in its plain form')
  return path
}

const NO_COMPONENT = /(?:^|\/)\.{0,2}(?:\/|$)/

/** Whether a path stays below its root: no empty, `.` or `..` component, so never absolute; empty is the root itself. */
export function isPlainPath(path: string): boolean {
  return path === '' || !NO_COMPONENT.test(path)
}

export function wide(value: unknown): bigint {
  if (typeof value !== 'string' || !WIDE.test(value)) throw damaged('not a wide integer')
  return BigInt(value)
}

/** A 256-bit hash in hexadecimal. */
export function hash(value: unknown): string {
  if (typeof value !== 'string' || !HASH.test(value)) throw damaged('not a hash')
  return value
}

function xattrs(value: unknown): [Buffer, Buffer][] {
  if (!Array.isArray(value)) throw damaged('xattrs are not a list')
  let last: Buffer = Buffer.alloc(0)
  return value.map((item: unknown) => {
    if (!Array.isArray(item) || item.length !== 2) throw damaged('an xattr is not a pair')
    const name = fromByteString(item[0] as ByteString)
    // An empty name sorts before nothing, so it is refused here too.
    if (Buffer.compare(last, name) >= 0) throw damaged('xattrs are not sorted by name')
    last = name
    return [name, fromBase64(item[1])]
  })
}

function extents(value: unknown, size: number): Extent[] {
  if (!Array.isArray(value)) throw damaged('extents are not a list')
  let end = 0
  const list = value.map((item: unknown) => {
    const extent = fourNumbers(item)
    if (extent.offset < end || extent.length < 1 || extent.at + extent.length > CHUNK_MAX)
      throw damaged('an extent overlaps another or leaves its chunk')
    end = extent.offset + extent.length
    return extent
  })
  if (end > size) throw damaged('an extent ends behind its file')
  return list
}

function fourNumbers(item: unknown): Extent {
  if (!Array.isArray(item) || item.length !== 4 || !item.every(isWhole))
    throw damaged('an extent is not four numbers')
  const [offset = 0, chunk = 0, at = 0, length = 0] = item
  return {offset, chunk, at, length}
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function link(value: unknown): NonNullable<Entry['link']> {
  if (!isFields(value)) throw damaged('a hard link is not an object')
  return {root: wholeNumber(value, 'root', UINT32), path: entryPath(value['path'])}
}

function target(value: unknown): Buffer {
  const bytes = fromByteString(value)
  if (bytes.length === 0) throw damaged('a symbolic link without target')
  return bytes
}

function device(value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw damaged('a device is not two numbers')
  const [major, minor] = value as unknown[]
  if (!isWhole(major) || !isWhole(minor) || major > UINT32 || minor > UINT32)
    throw damaged('a device is not two numbers')
  return [major, minor]
}

function torn(value: unknown): boolean {
  if (typeof value !== 'boolean') throw damaged('torn is not true or false')
  return value
}

function checkStat(value: unknown): void {
  if (!isFields(value)) throw damaged('stat is not an object')
  for (const name of ['ctime', 'ino', 'dev', 'fs']) wide(value[name])
}
