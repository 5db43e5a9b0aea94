import type {Entry} from './entry.js'

const EMPTY = Buffer.alloc(0)

/** The bytes that stand for an entry in the Merkle tree: seventeen fields, each with its length before it. */
export function leafOf(entry: Entry): Buffer {
  const {device, link} = entry
  return join([
    Buffer.from(entry.kind),
    decimal(entry.root),
    entry.path,
    decimal(entry.mode),
    decimal(entry.uid),
    decimal(entry.gid),
    entry.user ?? EMPTY,
    entry.group ?? EMPTY,
    decimal(entry.mtime),
    entry.kind === 'file' ? decimal(entry.size) : EMPTY,
    entry.hash === undefined ? EMPTY : Buffer.from(entry.hash, 'hex'),
    entry.target ?? EMPTY,
    device ? Buffer.from(`${device[0]}:${device[1]}`) : EMPTY,
    link ? decimal(link.root) : EMPTY,
    link ? link.path : EMPTY,
    entry.xattrs.length > 0 ? join(entry.xattrs.flat()) : EMPTY,
    entry.torn ? Buffer.from('torn') : EMPTY,
  ])
}

function decimal(value: bigint | number): Buffer {
  return Buffer.from(String(value), 'latin1')
}

function join(fields: readonly Buffer[]): Buffer {
  let length = 4 * fields.length
  for (const field of fields) length += field.length
  const joined = Buffer.allocUnsafe(length)
  let at = 0
  for (const field of fields) {
    joined.writeUInt32LE(field.length, at)
    joined.set(field, at + 4)
    at += 4 + field.length
  }
  return joined
}
