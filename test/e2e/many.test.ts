import {afterAll, beforeAll, expect, test} from '@jest/globals'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {answered} from './dumont.js'
import {differences, makeMatrix, scratch} from './trees.js'

const LIMIT_MS = 400_000

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
})
afterAll(() => remove(), LIMIT_MS)

test(
  'a hundred thousand small files come back, and cost nothing to save again',
  async () => {
    const path = await makeMatrix(join(folder, 'many'), '--small', '--many', '100000')
    const store = pathToFileURL(join(folder, 'store')).href
    const place = ['--host', 'local', '--store', store]
    const first = await answered(['snapshot', 'create', ...place, path])
    expect(first).toMatchObject({code: 0})
    expect(first.files).toBeGreaterThan(100_000)
    expect(await answered(['snapshot', 'create', ...place, path])).toMatchObject({
      code: 0,
      newBytes: 0,
    })
    const target = join(folder, 'restored')
    const where = [...place, '--target', target, '--devices', '--privileges']
    expect(await answered(['snapshot', 'restore', 'latest', ...where])).toMatchObject({code: 0})
    expect(await differences(join(path, 'many'), join(target, 'many'))).toEqual([])
  },
  LIMIT_MS,
)
