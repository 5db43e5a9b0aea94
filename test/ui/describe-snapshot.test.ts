import {expect, test} from '@jest/globals'
import {parseManifest} from '../../src/lib/format/manifest.js'
import {describeList} from '../../src/ui/describe-list.js'
import {describeSnapshot} from '../../src/ui/describe-snapshot.js'
import {manifestOf} from '../lib/snapshots/manifest-of.js'

const EVIL = '\u001B]0;title\u0007\u009B2J\r\nfake line'
const ID = '20261123T140200Z-k3f7qz'

/** A manifest with control characters wherever its form lets text stand. */
function hostile() {
  const {manifest} = manifestOf(ID)
  const host = {...manifest.host, address: EVIL, boot: EVIL, image: EVIL, kernel: EVIL, os: EVIL}
  const gpus = [{capability: EVIL, driver: EVIL, memory: 1, name: EVIL}]
  const evil = {
    ...manifest,
    bytes: {...manifest.bytes, codecs: {[EVIL]: {raw: 1, stored: 1}}},
    decoders: [EVIL],
    host: {...host, arch: EVIL, gpus, python: EVIL},
    label: EVIL,
    nvidia: {libraries: [{name: EVIL, distribution: EVIL, version: EVIL, cuda: 12, wheels: []}]},
    roots: [{given: EVIL, path: EVIL, type: 'dir'}],
    rules: {...manifest.rules, excludes: [EVIL], skippedMounts: [EVIL]},
    versions: {[EVIL]: EVIL},
    warnings: {count: 1, first: [{code: EVIL, message: EVIL, path: EVIL}]},
  }
  return parseManifest(Buffer.from(JSON.stringify(evil)), `snapshots/${ID}.json`)
}

test.each([
  ['show', () => describeSnapshot(hostile())],
  ['list', () => describeList([hostile()])],
])('%s lets no text of a manifest drive the terminal or add lines', (_name, describe) => {
  const text = describe()
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/u)
  expect(text.split('\n')).not.toContain('fake line')
})

test('a line of the list fits the terminal: the label is cut, and notes have a column where there are any', () => {
  const {manifest} = manifestOf(ID)
  const long = {...manifest, label: 'root@127.0.0.1:42201:/workspace/with/a/long/path'}
  const lines = describeList([long], 80).split('\n')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(lines[0]).not.toContain('NOTES')
  expect(describeList([long])).toContain('root@127.0.0.1:42201:/workspace')
})

test('show says which library and what kind of machine a snapshot needs', () => {
  const {manifest} = manifestOf(ID)
  const library = {distribution: 'nvidia-nvcomp-cu12', name: 'nvcomp-ans-6', version: '6.0.0.12'}
  const nvidia = {libraries: [{...library, wheels: []}]}
  const text = describeSnapshot({...manifest, decoders: ['ans', 'zstd'], nvidia})
  expect(text).toMatch(/^needs {5}ans, zstd; an NVIDIA GPU with nvCOMP 6\.0\.0\.12$/mu)
  expect(describeSnapshot({...manifest, nvidia: null})).not.toContain('nvCOMP')
})

test('list and show say what parity takes', () => {
  const {manifest} = manifestOf(ID)
  const groups = {key: `index/${ID}/groups`, length: 1, sha256: '0'.repeat(64)}
  const index = {...manifest.index, groups}
  const own = {...manifest, bytes: {...manifest.bytes, parity: 64e6}, index}
  expect(describeList([own])).toMatch(/ parity 64\.0 MB$/u)
  expect(describeSnapshot(own)).toMatch(/^parity +yes; 64\.0 MB of it written/mu)
  expect(describeSnapshot(manifest)).not.toMatch(/^parity/mu)
})

test('a list of none is no line', () => {
  expect(describeList([])).toBe('')
})
