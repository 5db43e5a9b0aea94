import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import {DumontError} from '../errors.js'
import type {Repository} from '../store/repository.js'
import type {StoreLocation} from '../store/store-location.js'
import {replaceText} from './secret-file.js'

const schema = v.object({
  address: v.string(),
  repository: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  protection: v.picklist(['authenticated', 'none', 'sealed']),
})

type Pinned = v.InferOutput<typeof schema>

/** Which repository lies where, and how it is protected, as this machine first saw it. */
export interface StorePin {
  /** Rejects with INTEGRITY when the store shows another than it did, or none any more; the first one seen is remembered. */
  check(found: Pick<Repository, 'id' | 'protection'> | undefined): Promise<void>
}

/** One small file for each address of a store. */
export function openStorePin(stateDir: string, location: StoreLocation): StorePin {
  const address = addressOf(location)
  const name = createHash('sha256').update(address).digest('hex').slice(0, 32)
  const file = path.join(stateDir, 'stores', `${name}.json`)
  return {
    async check(found) {
      const pinned = await read(file)
      const {id: repository, protection = 'none'} = found ?? {}
      if (!pinned) {
        if (repository !== undefined)
          await replaceText(file, `${JSON.stringify({address, repository, protection})}\n`)
        return
      }
      if (pinned.repository !== repository || pinned.protection !== protection)
        throw changed(address, file, pinned, found)
    },
  }
}

function addressOf(location: StoreLocation): string {
  if (location.kind === 'directory') return `file://${location.path}`
  const {bucket, endpoint = `aws:${location.region}`, prefix} = location
  return `${endpoint} s3://${bucket}/${prefix}`
}

async function read(file: string): Promise<Pinned | undefined> {
  try {
    return v.parse(schema, JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new DumontError('INTEGRITY', `${file} is damaged`, {
      cause,
      hint: 'it remembers which store is where; remove it to trust what the store shows',
    })
  }
}

function changed(
  address: string,
  file: string,
  pinned: Pinned,
  found: Pick<Repository, 'id' | 'protection'> | undefined,
): DumontError {
  const was = `${address} was repository ${pinned.repository} (${named(pinned.protection)})`
  const is = found
    ? `it now shows ${found.id} (${named(found.protection ?? 'none')})`
    : 'nothing of it is there any more'
  return new DumontError('INTEGRITY', `${was}, and ${is}`, {
    hint: `if you emptied or replaced it yourself, remove ${file}; else somebody else did`,
  })
}

function named(protection: Pinned['protection']): string {
  return protection === 'none' ? 'without keys' : protection
}
