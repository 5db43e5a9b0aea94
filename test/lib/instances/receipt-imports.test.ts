import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from '@jest/globals'

const SOURCES = readdirSync('src', {recursive: true, withFileTypes: true})
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name))

function mentioning(word: string): readonly string[] {
  return SOURCES.filter((file) => readFileSync(file, 'utf8').includes(word)).toSorted()
}

test('nothing but a receipt and a stillborn instance mints what destroys', () => {
  expect(mentioning('mintDestroyProof')).toEqual([
    'src/lib/instances/receipt.ts',
    'src/lib/instances/stillborn.ts',
    'src/lib/providers/destroy-proof.ts',
  ])
})
