import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {cpSync, readFileSync} from 'node:fs'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {expect, test} from '@jest/globals'

import {importNames, parseRequirements} from '../../../src/lib/worker/native-wheels.js'
import {loadWorkerBundle} from '../../../src/lib/worker/worker-bundle.js'

const ROOT = join(import.meta.dirname, '../../..')
const SOURCES = join(ROOT, 'gpu-scripts')

test('two builds of the same sources give the same bytes, whenever their files were touched', async () => {
  const copy = join(await scratch(), 'copy')
  for (const part of ['dumont_worker', 'equip', 'requirements']) {
    cpSync(join(SOURCES, part), join(copy, part), {
      filter: (path) => !path.includes('__pycache__'),
      recursive: true,
    })
  }
  execFileSync('find', [copy, '-exec', 'touch', '-d', '2001-01-01', '{}', '+'])
  execFileSync('chmod', ['-R', 'u+rwx,g+w', copy])
  await mkdir(join(copy, 'dumont_worker', '__pycache__'))
  await mkdir(join(copy, 'dumont_worker', 'tests'))
  await writeFile(join(copy, 'dumont_worker', '__pycache__', 'x.pyc'), 'x')
  await writeFile(join(copy, 'dumont_worker', 'tests', 'test_x.py'), 'x')
  const [one, two] = [await pack(SOURCES), await pack(copy)]
  for (const name of ['worker.pyz', 'worker.json']) {
    expect(await readFile(join(two, name))).toEqual(await readFile(join(one, name)))
  }
})

test('the worker runs from its one file, by itself', async () => {
  const out = await pack(SOURCES)
  const said = execFileSync('python3', ['-I', join(out, 'worker.pyz'), '--help'], {
    cwd: tmpdir(),
    encoding: 'utf8',
  })
  expect(said).toContain('--native')
})

test('the zip is one that others read', async () => {
  const out = await pack(SOURCES)
  const said = execFileSync('python3', ['-m', 'zipfile', '-t', join(out, 'worker.pyz')], {
    encoding: 'utf8',
  })
  expect(said).toContain('Done testing')
})

test('what was packed is loaded with its hash checked', async () => {
  const out = await pack(SOURCES)
  const bundle = await loadWorkerBundle(out)
  expect(createHash('sha256').update(bundle.worker).digest('hex')).toBe(bundle.sha256)
  expect(bundle.equip).toContain('def equip_box')
})

test('a damaged or missing worker stops the program here', async () => {
  const out = await pack(SOURCES)
  await writeFile(join(out, 'worker.pyz'), 'damaged')
  await expect(loadWorkerBundle(out)).rejects.toMatchObject({code: 'INTEGRITY'})
  await rm(join(out, 'worker.pyz'))
  await expect(loadWorkerBundle(out)).rejects.toMatchObject({
    code: 'CONFIG',
    hint: expect.stringContaining('npm run build'),
  })
})

test.each(['cp310', 'cp311', 'cp312', 'cp313', 'cp314'])(
  'every helper is pinned for %s on both machines',
  (python) => {
    for (const machine of ['x86_64', 'aarch64']) {
      const read = (set: string) =>
        importNames(
          parseRequirements(
            readFileSync(join(SOURCES, 'requirements', `${set}-${python}-${machine}.txt`), 'utf8'),
          ),
        )
      const zstd = python === 'cp314' ? [] : ['backports.zstd']
      expect(read('native')).toEqual([...zstd, 'blake3', 'pyfastcdc', 'typing_extensions'])
      expect(read('numpy')).toEqual(['numpy'])
      expect(read('seal')).toEqual(['_cffi_backend', 'cryptography.hazmat.primitives.ciphers.aead'])
    }
  },
)

async function pack(sources: string): Promise<string> {
  const out = await scratch()
  const {packWorker} = (await import(join(ROOT, 'scripts/pack-worker.js'))) as {
    packWorker: (options: {out: string; sources: string}) => unknown
  }
  packWorker({out, sources})
  return out
}

function scratch(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'pack-'))
}
