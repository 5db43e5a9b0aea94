import type {Manifest} from '../../../src/lib/format/manifest.js'
import type {StoredManifest, Survey} from '../../../src/lib/snapshots/manifests.js'

const digest = (letter: string) => letter.repeat(64)

/** A manifest of which only what matters to the test is said. */
export function manifestOf(
  id: string,
  change: Partial<Manifest> & {box?: string; roots?: Manifest['roots']} = {},
): StoredManifest {
  const {box = digest('b'), ...fields} = change
  const object = (name: string) => ({key: `index/${id}/${name}`, length: 1, sha256: digest('0')})
  const manifest: Manifest = {
    format: 1,
    id,
    lineage: '1'.repeat(32),
    label: 'train',
    sequence: 1,
    parent: null,
    created: '2026-11-23T14:02:00.000Z',
    host: {
      address: 'root@gpu1:22',
      box,
      boot: 'x',
      os: 'x',
      kernel: 'x',
      arch: 'x',
      python: 'x',
      cpus: 1,
      memory: 1,
      gpus: [],
    },
    roots: [{path: '/workspace', type: 'dir'}],
    rules: {excludes: [], excludeCaches: false, crossMounts: false, skippedMounts: []},
    counts: {entries: 1, files: 0, dirs: 1, symlinks: 0, others: 0, torn: 0, unreadable: 0},
    bytes: {raw: 0, new: 0, stored: 0, all: 0, codecs: {}},
    seconds: {scan: 0, transfer: 0, total: 0},
    index: {
      segments: [object('0')],
      packs: object('packs'),
      entries: 1,
      chunks: 0,
      merkle: digest('0'),
    },
    decoders: [],
    nvidia: null,
    warnings: {count: 0, first: []},
    versions: {},
    ...fields,
  }
  return {id, manifest, sha256: digest('f')}
}

export function surveyOf(...readable: StoredManifest[]): Survey {
  return {readable, unreadable: []}
}
