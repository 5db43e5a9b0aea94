import type {FileHandle} from 'node:fs/promises'
import {unlink} from 'node:fs/promises'
import path from 'node:path'
import {pathToFileURL} from 'node:url'
import type {Clock} from '../clock.js'
import {DumontError} from '../errors.js'
import {absent, collect, GET_LIMIT, span, tooLong} from './collect.js'
import {directoryError} from './directory-errors.js'
import {
  createUnfinished,
  fileSystemClock,
  hasCode,
  ignoreMissing,
  isMissing,
  openObject,
  publish,
  removeFile,
  sweepUnfinished,
  walk,
} from './directory-files.js'
import {createGateway} from './gateway.js'
import {throwIfInterrupted} from './interruption.js'
import {assertKey, assertPrefix} from './keys.js'
import {samePin, startPin} from './pin.js'
import type {Expected, Received, Shelf} from './shelf.js'
import type {
  Gateway,
  GetOptions,
  ObjectInfo,
  PutOptions,
  SignedRequest,
  SignRequest,
  Store,
} from './store.js'

type Written = 'cut' | 'damaged' | 'whole'

const PIECE = 256 * 1024

/**
 * Objects as files below one directory. Nothing is created before the first put. An object is written under `tmp/`,
 * checked, synced, linked to its name and the folder synced: it is there whole or not at all.
 */
export class DirectoryStore implements Store, Shelf {
  readonly url: string
  readonly reach = 'tunnel'
  readonly gateway: Gateway
  readonly #root: string
  readonly #clock: Clock

  private constructor(root: string, clock: Clock) {
    this.#root = root
    this.#clock = clock
    this.url = pathToFileURL(root).href
    this.gateway = createGateway(this, {clock})
  }

  /** Takes away what runs that died left unfinished more than a day ago. */
  static async open(root: string, {clock}: {readonly clock: Clock}): Promise<DirectoryStore> {
    const store = new DirectoryStore(path.resolve(root), clock)
    await sweepUnfinished(store.#root, clock.now()).catch((error: unknown) => {
      // A store that may only be read is still good for a restore.
      if (!hasCode(error, 'EACCES') && !hasCode(error, 'EROFS'))
        throw directoryError(store.#root, error)
    })
    return store
  }

  async put(
    key: string,
    body: Uint8Array,
    {onlyIfAbsent = true}: PutOptions = {},
    signal?: AbortSignal,
  ) {
    assertKey(key)
    const write = async (handle: FileHandle) => {
      throwIfInterrupted(signal)
      await handle.writeFile(body)
      return 'whole' as const
    }
    const outcome = await this.#guard(() => this.#create(key, write, !onlyIfAbsent, signal))
    return outcome === 'created' ? 'created' : 'exists'
  }

  async get(
    key: string,
    {range, limit = GET_LIMIT}: GetOptions = {},
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const length = await this.lengthOf(key)
    if (length === undefined) throw absent(key)
    const {first, last} = span(key, length, range)
    if (last - first + 1 > limit) throw tooLong(key, limit)
    return this.#guard(() => collect(key, this.#pieces(key, first, last, signal), limit))
  }

  /** Reads the whole object: the checksum is of what lies on the disk now. */
  async head(key: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const info = await this.#stat(key)
    if (!info) return undefined
    const hashers = [startPin('crc32'), startPin('md5')]
    await this.#guard(async () => {
      for await (const piece of this.#pieces(key, 0, info.length - 1, signal))
        for (const hasher of hashers) hasher.update(piece)
    })
    return {...info, pins: hashers.map((hasher) => hasher.pin())}
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    assertPrefix(prefix)
    try {
      for await (const key of walk(this.#root, prefix)) {
        throwIfInterrupted(signal)
        const info = await this.#stat(key)
        if (info) yield info
      }
    } catch (error) {
      throw directoryError(this.#root, error)
    }
  }

  async remove(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    for (const key of keys) assertKey(key)
    for (const key of keys) {
      throwIfInterrupted(signal)
      await this.#guard(() => removeFile(this.#root, key))
    }
  }

  async sign(request: SignRequest): Promise<SignedRequest> {
    assertKey(request.key)
    return this.gateway.sign(request, await this.gateway.listen())
  }

  async now(signal?: AbortSignal): Promise<number> {
    throwIfInterrupted(signal)
    return (await fileSystemClock(this.#root)) ?? this.#clock.now()
  }

  close(): Promise<void> {
    return this.gateway.close()
  }

  receive(
    key: string,
    body: AsyncIterable<Uint8Array>,
    expected: Expected,
    signal?: AbortSignal,
  ): Promise<Received> {
    assertKey(key)
    const write = (handle: FileHandle) => writeChecked(handle, body, expected)
    return this.#guard(() => this.#create(key, write, false, signal))
  }

  async lengthOf(key: string): Promise<number | undefined> {
    return (await this.#stat(key))?.length
  }

  send(key: string, first: number, last: number): AsyncIterable<Uint8Array> {
    return this.#pieces(key, first, last)
  }

  async #create(
    key: string,
    write: (handle: FileHandle) => Promise<Written>,
    replace: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Received> {
    const {file, handle} = await createUnfinished(this.#root)
    try {
      const written = await writeSynced(handle, write)
      throwIfInterrupted(signal)
      return written === 'whole' ? await publish(this.#root, file, key, replace) : written
    } finally {
      await unlink(file).catch(ignoreMissing)
    }
  }

  async #stat(key: string): Promise<ObjectInfo | undefined> {
    assertKey(key)
    try {
      const handle = await openObject(this.#root, key)
      try {
        const {size, mtimeMs} = await handle.stat()
        return {key, length: size, modified: mtimeMs}
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw directoryError(this.#root, error)
    }
  }

  /** Rejects (INTEGRITY) when the object turns out shorter than it was. */
  async *#pieces(
    key: string,
    first: number,
    last: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    const handle = await openObject(this.#root, key)
    try {
      for (let at = first; at <= last;) {
        throwIfInterrupted(signal)
        const {bytesRead, buffer} = await handle.read({
          buffer: Buffer.allocUnsafe(Math.min(PIECE, last - at + 1)),
          position: at,
        })
        if (bytesRead === 0)
          throw new DumontError('INTEGRITY', `${key} ends at ${at} instead of ${last + 1} bytes`)
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await handle.close()
    }
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw directoryError(this.#root, error)
    }
  }
}

async function writeSynced(
  handle: FileHandle,
  write: (handle: FileHandle) => Promise<Written>,
): Promise<Written> {
  try {
    const written = await write(handle)
    await handle.sync()
    return written
  } finally {
    await handle.close()
  }
}

async function writeChecked(
  handle: FileHandle,
  body: AsyncIterable<Uint8Array>,
  {length, pin}: Expected,
) {
  const hasher = startPin(pin.kind)
  let written = 0
  for await (const piece of body) {
    written += piece.length
    if (written > length) return 'cut' as const
    hasher.update(piece)
    await handle.writeFile(piece)
  }
  if (written !== length) return 'cut' as const
  return samePin(hasher.pin(), pin) ? ('whole' as const) : ('damaged' as const)
}
