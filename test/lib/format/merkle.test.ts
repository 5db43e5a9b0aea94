import {createHash} from 'node:crypto'
import {expect, it} from '@jest/globals'
import {MerkleTree} from '../../../src/lib/format/merkle.js'

/** RFC 6962 section 2.1, word for word. */
function byTheRfc(leaves: readonly Buffer[]): Buffer {
  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  const [first] = leaves
  if (!first) return sha256()
  if (leaves.length === 1) return sha256(Buffer.of(0), first)
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha256(Buffer.of(1), byTheRfc(leaves.slice(0, k)), byTheRfc(leaves.slice(k)))
}

it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 100])(
  'of %i leaves is that of the RFC',
  (count) => {
    const leaves = Array.from({length: count}, (_, n) => Buffer.from(`leaf ${n}`))
    const tree = new MerkleTree()
    for (const leaf of leaves) tree.add(leaf)
    expect(tree.root()).toBe(byTheRfc(leaves).toString('hex'))
  },
)

it('gives a known root of the published test vectors', () => {
  const tree = new MerkleTree()
  for (const leaf of ['', '00', '10', '2021', '3031', '40414243', '5051525354555657'])
    tree.add(Buffer.from(leaf, 'hex'))
  tree.add(Buffer.from('606162636465666768696a6b6c6d6e6f', 'hex'))
  expect(tree.root()).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')
})
