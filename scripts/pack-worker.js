// Builds dist/worker.pyz, the Python worker as one runnable file, and dist/worker.json, what the CLI must know to put it on
// a box. The same sources give the same bytes wherever and whenever this runs: sorted names, one fixed time and mode, and
// no compression, whose output changes with the version of zlib.
import {createHash} from 'node:crypto'
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {crc32} from 'node:zlib'

const ROOT = join(import.meta.dirname, '..')
const MAIN = 'from dumont_worker.__main__ import run\n\nif __name__ == "__main__":\n    run()\n'

/** Writes both files from `sources` (default: gpu-scripts) into `out` (default: dist). */
export function packWorker({out = join(ROOT, 'dist'), sources = join(ROOT, 'gpu-scripts')} = {}) {
  const archive = zip([
    {content: Buffer.from(MAIN), name: '__main__.py'},
    ...pythonFiles(join(sources, 'dumont_worker'), 'dumont_worker'),
  ])
  const description = {
    bytes: archive.length,
    equip: readFileSync(join(sources, 'equip', 'equip_box.py'), 'utf8'),
    requirements: requirements(join(sources, 'requirements')),
    sha256: createHash('sha256').update(archive).digest('hex'),
  }
  mkdirSync(out, {recursive: true})
  writeFileSync(join(out, 'worker.pyz'), archive)
  writeFileSync(join(out, 'worker.json'), `${JSON.stringify(description, null, 1)}\n`)
  return description
}

function pythonFiles(directory, prefix) {
  return entries(directory).flatMap((entry) => {
    const name = `${prefix}/${entry.name}`
    if (entry.isDirectory())
      return entry.name === 'tests' ? [] : pythonFiles(join(directory, entry.name), name)
    const isSource =
      entry.isFile() && entry.name.endsWith('.py') && !/^(?:test_|conftest)/.test(entry.name)
    return isSource ? [{content: readFileSync(join(directory, entry.name)), name}] : []
  })
}

/** Pinned wheels by set, Python and machine: `native-cp311-x86_64` and so on; nvCOMP's are for every Python. */
function requirements(directory) {
  const locked = entries(directory).filter(({name}) =>
    /^(?:(?:native|numpy|seal)-cp\d+|nvcomp)-\w+\.txt$/.test(name),
  )
  return Object.fromEntries(
    locked.map(({name}) => [
      name.slice(0, -'.txt'.length),
      readFileSync(join(directory, name), 'utf8'),
    ]),
  )
}

/** By bytes, not by locale. */
function entries(directory) {
  return readdirSync(directory, {withFileTypes: true}).toSorted((a, b) =>
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  )
}

const DATE = 0x0021 // 1980-01-01, the first day a zip can name
const VERSION = 20
const UNIX = 3
const MODE = 0o100644

function zip(files) {
  const locals = []
  const directory = []
  let offset = 0
  for (const {content, name} of files) {
    const shared = sharedFields(content, Buffer.from(name))
    const local = Buffer.concat([
      u32(0x04034b50),
      u16(VERSION),
      ...shared,
      Buffer.from(name),
      content,
    ])
    const attributes = [u16(0), u16(0), u16(0), u32((MODE << 16) >>> 0), u32(offset)]
    directory.push(
      u32(0x02014b50),
      u16((UNIX << 8) | VERSION),
      u16(VERSION),
      ...shared,
      ...attributes,
      Buffer.from(name),
    )
    locals.push(local)
    offset += local.length
  }
  const index = Buffer.concat(directory)
  const end = [
    u32(0x06054b50),
    u16(0),
    u16(0),
    u16(files.length),
    u16(files.length),
    u32(index.length),
    u32(offset),
    u16(0),
  ]
  return Buffer.concat([...locals, index, ...end])
}

/** Flags (names are UTF-8), method "stored", time, date, CRC, sizes, lengths of name and extra field. */
function sharedFields(content, name) {
  const sizes = [u32(content.length), u32(content.length)]
  return [
    u16(0x0800),
    u16(0),
    u16(0),
    u16(DATE),
    u32(crc32(content)),
    ...sizes,
    u16(name.length),
    u16(0),
  ]
}

function u16(value) {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) packWorker()
