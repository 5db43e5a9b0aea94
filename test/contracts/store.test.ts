import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {describe, test} from '@jest/globals'
import {DirectoryStore} from '../../src/lib/store/directory-store.js'
import {MemoryStore} from '../../src/lib/store/memory-store.js'
import {S3Store} from '../../src/lib/store/s3-store.js'
import {ShiftedClock} from '../support/shifted-clock.js'
import {findVersitygw, startVersitygw} from '../support/versitygw.js'
import {describeStore} from './store-contract.js'

describeStore('memory', async () => {
  const clock = new ShiftedClock()
  const store = new MemoryStore({clock})
  return {store, clock, close: () => store.close()}
})

describeStore('directory', async () => {
  const clock = new ShiftedClock()
  const root = await mkdtemp(path.join(tmpdir(), 'dumont-store-'))
  const store = await DirectoryStore.open(path.join(root, 'store'), {clock})
  const close = async () => {
    await store.close()
    await rm(root, {recursive: true})
  }
  return {store, clock, close}
})

const binary = findVersitygw()
if (binary)
  describeStore('S3', async () => {
    const clock = new ShiftedClock()
    const server = await startVersitygw(binary)
    const {accessKeyId, secretAccessKey, bucket, endpoint, region} = server
    const credentials = {accessKeyId, secretAccessKey}
    const store = new S3Store(
      {kind: 's3', bucket, prefix: 'some/prefix', endpoint, region, credentials},
      {clock},
    )
    const close = async () => {
      await store.close()
      await server.close()
    }
    const plant = async (key: string) => {
      const file = path.join(server.root, 'some/prefix', key)
      await mkdir(path.dirname(file), {recursive: true})
      await writeFile(file, '.')
    }
    return {store, clock, plant, close}
  })
else
  describe('S3 store', () => {
    test.skip('keeps the contract (versitygw is missing)', () => {})
  })
