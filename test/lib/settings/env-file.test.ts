import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {chmod, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {readEnvFile} from '../../../src/lib/settings/env-file.js'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dumont-env-'))
  file = join(folder, 'values')
})
afterEach(() => rm(folder, {recursive: true}))

const read = async (text: string, mode = 0o600) => {
  await writeFile(file, text)
  await chmod(file, mode)
  return readEnvFile(file)
}

test('a value is what stands behind the first equals sign, as it is', async () => {
  const {values} = await read('# for train-a\nHF_TOKEN=a=b "c" \n\nEMPTY=\nWIN=x\r\n')
  expect(values).toEqual({EMPTY: '', HF_TOKEN: 'a=b "c" ', WIN: 'x'})
})

test.each(['export HF_TOKEN=hf_secret', '1A=hf_secret', 'hf_secret', ' A=hf_secret'])(
  'the line %j is refused by its number, and not shown',
  async (line) => {
    const error = await read(`A=1\n${line}\n`).catch((failure: Error) => failure)
    expect((error as Error).message).toBe(`line 2 of ${file} is no NAME=value`)
  },
)

test('a file that others can read is told from one that is its owner’s alone', async () => {
  expect((await read('A=1', 0o644)).isOpen).toBe(true)
  expect((await read('A=1', 0o600)).isOpen).toBe(false)
})

test('a file that is not there is a wrong flag', async () => {
  await expect(readEnvFile(join(folder, 'none'))).rejects.toMatchObject({code: 'USAGE'})
})
