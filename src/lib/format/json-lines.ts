import {promisify} from 'node:util'
import {gunzip} from 'node:zlib'
import {type Fields, isFields} from './fields.js'
import {damaged, newer} from './integrity.js'

/** Most bytes of an index object after decompression. */
const LIMIT = 67_108_864

export type LineKind = 'groups' | 'index' | 'packs'

/** The lines of a gzip'd object, its first line checked; INTEGRITY or FORMAT_NEWER. */
export async function readJsonLines(
  object: Uint8Array,
  kind: LineKind,
  snapshot: string,
): Promise<{header: Fields; lines: Generator<Fields>}> {
  const {header, lines} = await readTextLines(object, kind, snapshot)
  return {header, lines: parsed(lines)}
}

/** The same, with lines that nobody has parsed yet. */
export async function readTextLines(
  object: Uint8Array,
  kind: LineKind,
  snapshot: string,
): Promise<{header: Fields; lines: Generator<string>}> {
  const lines = split(await inflate(object))
  const first = lines.next()
  const header = first.done ? {} : parseLine(first.value)
  if (header['kind'] !== kind) throw damaged(`not an object of kind ${kind}`)
  const {format} = header
  if (typeof format === 'number' && format > 1) throw newer(kind, format)
  if (format !== 1) throw damaged('an unknown format')
  if (header['snapshot'] !== snapshot) throw damaged('belongs to another snapshot')
  return {header, lines}
}

async function inflate(object: Uint8Array): Promise<string> {
  let raw: Buffer
  try {
    raw = await promisify(gunzip)(object, {maxOutputLength: LIMIT})
  } catch (error) {
    throw damaged('not gzip, cut short or too long', error)
  }
  // Node joins several gzip members and overlooks what follows the last; the length at the end tells.
  const tail = Buffer.from(object.buffer, object.byteOffset, object.length).readUInt32LE(
    object.length - 4,
  )
  if (tail !== raw.length) throw damaged('gzip followed by something')
  try {
    return new TextDecoder('utf8', {fatal: true, ignoreBOM: true}).decode(raw)
  } catch (error) {
    throw damaged('not UTF-8', error)
  }
}

function* parsed(lines: Iterable<string>): Generator<Fields> {
  for (const line of lines) yield parseLine(line)
}

function* split(text: string): Generator<string> {
  if (!text.endsWith('\n')) throw damaged('the last line is cut short')
  let start = 0
  while (start < text.length) {
    const end = text.indexOf('\n', start)
    yield text.slice(start, end)
    start = end + 1
  }
}

/** One line; INTEGRITY for what is no object. */
export function parseLine(line: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw damaged('a line is not JSON', error)
  }
  if (!isFields(value)) throw damaged('a line is not an object')
  return value
}
