// jest's globalTeardown. What the tests did not remove themselves is gone with it.
import path from 'node:path'
import {removeTree} from './remove-tree.js'

export default function dropTemporaryRoot() {
  const root = process.env.TMPDIR
  process.env.TMPDIR = path.dirname(root)
  removeTree(root)
}
