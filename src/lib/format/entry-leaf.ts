import {hash} from 'node:crypto'
import type {Entry} from './entry.js'

/** Begins with the byte that tells a leaf from an inner node. Grows to the longest entry, and is used for all. */
let scratch = Buffer.alloc(64 * 1024)
let end = 1

/** The bytes that stand for an entry in the Merkle tree: seventeen fields, each with its length before it. */
export function leafOf(entry: Entry): Buffer {
  write(entry)
  return Buffer.from(scratch.subarray(1, end))
}

/** The node of an entry in the Merkle tree: SHA-256 of a zero byte and its leaf, a character a byte. */
export function nodeOf(entry: Entry): string {
  write(entry)
  return hash('sha256', scratch.subarray(0, end), 'binary')
}

function write(entry: Entry): void {
  const {device, kind, link, target, user, group, xattrs} = entry
  reserve(entry)
  end = 1
  text(kind)
  text(String(entry.root))
  bytes(entry.path)
  text(String(entry.mode))
  text(String(entry.uid))
  text(String(entry.gid))
  bytes(user)
  bytes(group)
  text(String(entry.mtime))
  text(kind === 'file' ? String(entry.size) : '')
  hexadecimal(entry.hash)
  bytes(target)
  text(device ? `${device[0]}:${device[1]}` : '')
  text(link ? String(link.root) : '')
  bytes(link?.path)
  attributes(xattrs)
  text(entry.torn ? 'torn' : '')
}

/** Makes room: short fields and all lengths take less than 1 KiB. */
function reserve({group, link, path, target, user, xattrs}: Entry): void {
  let most = 1024 + path.length
  for (const field of [user, group, target, link?.path]) most += field?.length ?? 0
  for (const [name, value] of xattrs) most += 8 + name.length + value.length
  if (most > scratch.length) scratch = Buffer.alloc(2 * most)
}

function text(value: string): void {
  const length = scratch.write(value, end + 4, 'latin1')
  scratch.writeUInt32LE(length, end)
  end += 4 + length
}

function bytes(value: Buffer | undefined): void {
  const length = value?.length ?? 0
  scratch.writeUInt32LE(length, end)
  if (value) scratch.set(value, end + 4)
  end += 4 + length
}

function hexadecimal(value: string | undefined): void {
  const length = value === undefined ? 0 : scratch.write(value, end + 4, 'hex')
  scratch.writeUInt32LE(length, end)
  end += 4 + length
}

function attributes(xattrs: Entry['xattrs']): void {
  const start = end
  end += 4
  for (const pair of xattrs) for (const field of pair) bytes(field)
  scratch.writeUInt32LE(end - start - 4, start)
}
