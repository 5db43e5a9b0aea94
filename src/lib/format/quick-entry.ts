import {type Entry, type EntryKind, type Extent, isPlainPath} from './entry.js'

const NUMBER = '(0|[1-9][0-9]{0,14})'
const SHORT = '(0|[1-9][0-9]{0,8})'
const WIDE = '(0|-?[1-9][0-9]{0,29})'
const ANY_WIDE = '(?:0|-?[1-9][0-9]{0,29})'
// Text without escapes and without what JSON does not allow bare, which is what nearly all names are.
const TEXT = String.raw`"([^"\\\u0000-\u001f]*)"`
const OWNER = `,"mode":${SHORT},"uid":${SHORT},"gid":${SHORT}(?:,"user":${TEXT})?(?:,"group":${TEXT})?`
const EXTENT = String.raw`(?:,"extents":\[\[${NUMBER},${NUMBER},${NUMBER},${NUMBER}\]\])?`
const STAT = `(?:,"stat":{"ctime":"${ANY_WIDE}","ino":"${ANY_WIDE}","dev":"${ANY_WIDE}","fs":"${ANY_WIDE}"})?`
const FILE = `,"size":${NUMBER},"hash":"([0-9a-f]{64})"${EXTENT}${STAT}`
const LINE = new RegExp(
  `^{"entry":"(file|dir)","root":${SHORT},"path":${TEXT}${OWNER},"mtime":"${WIDE}"(?:${FILE})?}$`,
)
const CHUNK_MAX = 4_194_304

/**
 * What `decodeEntry` would give for a line, without JSON, or undefined: then that is to be asked, for an entry or an error.
 * Knows directories and files of at most one extent, with nothing unusual, as the worker writes them.
 */
export function quickEntry(line: string): Entry | undefined {
  const match = LINE.exec(line)
  if (!match) return undefined
  const [, kind, root, path, mode, uid, gid, user, group, mtime, size, hash, ...extent] =
    match as unknown as string[]
  if ((kind === 'file') !== (hash !== undefined) || !isPlainPath(path as string)) return undefined
  const bytes = Number(size ?? 0)
  const extents = extentsOf(extent, bytes)
  if (Number(mode) > 0o7777 || !extents) return undefined
  return {
    kind: kind as EntryKind,
    root: Number(root),
    path: Buffer.from(path as string, 'utf8'),
    mode: Number(mode),
    uid: Number(uid),
    gid: Number(gid),
    user: user === undefined ? undefined : Buffer.from(user, 'utf8'),
    group: group === undefined ? undefined : Buffer.from(group, 'utf8'),
    mtime: BigInt(mtime as string),
    xattrs: NONE,
    size: bytes,
    hash,
    extents,
    link: undefined,
    target: undefined,
    device: undefined,
    torn: false,
  }
}

const NONE: readonly never[] = []

/** Undefined for an extent that no file may have. */
function extentsOf(fields: readonly string[], size: number): readonly Extent[] | undefined {
  if (fields[0] === undefined) return NONE
  const [offset = 0, chunk = 0, at = 0, length = 0] = fields.map(Number)
  const fits = length >= 1 && at + length <= CHUNK_MAX && offset + length <= size
  return fits ? [{offset, chunk, at, length}] : undefined
}
