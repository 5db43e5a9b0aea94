import {expect, test} from '@jest/globals'
import {decodeEntry} from '../../../src/lib/format/entry.js'
import {quickEntry} from '../../../src/lib/format/quick-entry.js'

const common = {mode: 0o644, uid: 1000, gid: 100, user: 'ana', group: 'lab', mtime: '-17'}
const content = {size: 100, hash: 'ab'.repeat(32), extents: [[10, 7, 20, 90]]}
const stat = {ctime: '1', ino: '2', dev: '3', fs: '0'}
const dir = {entry: 'dir', root: 0, path: 'a', ...common}
const file = {entry: 'file', root: 2, path: 'a/b', ...common, ...content, stat}

const asked = (line: object) => quickEntry(JSON.stringify(line))

test.each([
  ['a directory', dir],
  ['a root', {...dir, path: ''}],
  ['a file', file],
  ['a file of another box', {...file, stat: undefined}],
  ['an empty file', {...file, size: 0, extents: undefined}],
  ['names of other alphabets', {...file, path: 'données/文件'}],
  ['names that begin with dots', {...file, path: '.a/..b/...'}],
  ['nobody', {...file, user: undefined, group: undefined}],
])('%s is read as it would be through JSON', (_name, line) => {
  expect(asked(line)).toEqual(decodeEntry(JSON.parse(JSON.stringify(line)) as never))
})

test.each([
  ['a symbolic link', {...dir, entry: 'symlink', target: 'b'}],
  ['a hard link', {...file, link: {root: 0, path: 'a'}}],
  ['a torn file', {...file, torn: true}],
  ['attributes', {...dir, xattrs: [['user.a', '']]}],
  ['a name with a quote', {...file, path: 'a"b'}],
  ['a name in base64', {...file, path: {b64: '/w=='}}],
  ['several extents', {...file, extents: [...content.extents, [100, 8, 0, 1]]}],
  ['a chunk', {chunk: 1}],
])('%s is left to be asked for through JSON', (_name, line) => {
  expect(asked(line)).toBeUndefined()
})

test.each([
  ['a path above the root', {...file, path: 'a/../b'}],
  ['a path to the current directory', {...file, path: './b'}],
  ['an absolute path', {...file, path: '/b'}],
  ['a path with an empty component', {...file, path: 'a//b'}],
  ['a path that ends in a slash', {...dir, path: 'a/'}],
  ['a mode above 07777', {...dir, mode: 0o10000}],
  ['an extent that leaves its chunk', {...file, extents: [[0, 0, 4_194_300, 5]]}],
  ['an extent that ends behind its file', {...file, extents: [[11, 0, 0, 90]]}],
  ['an empty extent', {...file, extents: [[0, 0, 0, 0]]}],
  ['a directory with content', {...dir, ...content}],
  ['a file without a hash', {...dir, entry: 'file'}],
  ['a time that is not in its plain form', {...dir, mtime: '-0'}],
])('%s is not believed', (_name, line) => {
  expect(asked(line)).toBeUndefined()
})

test('a line with something behind it is not believed', () => {
  expect(quickEntry(`${JSON.stringify(dir)} `)).toBeUndefined()
})
