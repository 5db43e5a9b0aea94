import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {mkdir, mkdtemp, readdir, readFile, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {beforeAll, describe, expect, test} from '@jest/globals'

import {openLocalSession} from '../../../src/lib/remote/local-session.js'
import {equipBox} from '../../../src/lib/worker/equip-box.js'
import type {NvcompOptions} from '../../../src/lib/worker/equip-nvcomp.js'
import {NVCOMP_READS} from '../../../src/lib/worker/nvcomp-wheels.js'
import {importNames, parseRequirements} from '../../../src/lib/worker/native-wheels.js'
import {fakeIndex, fakeWheel, type FakeWheel} from '../../support/fake-wheel.js'

const SCRIPTS = join(import.meta.dirname, '../../../gpu-scripts')
const MACHINES = ['x86_64', 'aarch64']
const PLATFORMS = MACHINES.flatMap((machine) =>
  [10, 11, 12, 13, 14].map((minor) => `cp3${minor}-${machine}`),
)

let script: string
let python: string
let worker: Buffer
let helper: FakeWheel
let nvcomp: FakeWheel
beforeAll(async () => {
  script = await readFile(join(SCRIPTS, 'equip/equip_box.py'), 'utf8')
  const venv = join(await scratch(), 'venv')
  execFileSync('python3', ['-m', 'venv', '--without-pip', venv])
  python = join(venv, 'bin', 'python')
  worker = fakeWheel('worker', {'__main__.py': ''}).bytes
  helper = fakeWheel('helper-one')
  nvcomp = fakeWheel('nvidia-nvcomp-cu12', {'nvidia/nvcomp/__init__.py': 'raise SystemExit\n'})
})

describe('a box with an NVIDIA driver', () => {
  test('gets nvCOMP in a directory of its own, after it was said whose licence it is under', async () => {
    const box = await freshBox()
    const {nvcompPath, nativePath, nvcompMissing} = await box.equip('required')
    expect(nvcompMissing).toBeUndefined()
    expect(await readdir(join(nvcompPath ?? '', 'nvidia'))).toEqual(['nvcomp'])
    expect(await readdir(nativePath)).not.toContain('nvidia')
    expect(box.notices).toEqual([expect.stringMatching(/NVIDIA's own licence.*--no-gpu/)])
  })

  test('that has nvCOMP is asked nothing more, and nobody is told again', async () => {
    const box = await freshBox()
    const first = await box.equip('required')
    box.notices.length = 0
    box.index.fetched.length = 0
    expect((await box.equip('wanted')).nvcompPath).toBe(first.nvcompPath)
    expect([box.notices, box.index.fetched]).toEqual([[], []])
  })

  test('gets nothing when nobody asked for it', async () => {
    const box = await freshBox()
    expect((await box.equip()).nvcompPath).toBeUndefined()
    expect(await readdir(join(box.home, '.cache/dumont'))).toEqual([
      expect.stringMatching(/^native-/),
      expect.stringMatching(/^worker-/),
    ])
    expect(box.notices).toEqual([])
  })

  test('installs it by its own means first', async () => {
    const box = await freshBox()
    await fakeUv(box.home, `echo "$@" > ${box.home}/said; ${UNZIP}`)
    const {nvcompPath} = await box.equip('required')
    expect(await readdir(nvcompPath ?? '')).toEqual(['dumont-complete', 'nvidia'])
    expect(await readFile(join(box.home, 'said'), 'utf8')).toContain('--require-hashes')
    expect(box.index.fetched).toEqual([])
  })

  test('that cannot install it goes on without where it is only wanted: nothing is sent', async () => {
    const box = await freshBox()
    const {nvcompMissing, nvcompPath} = await box.equip('wanted')
    expect(nvcompPath).toBeUndefined()
    expect(nvcompMissing).toContain('neither uv nor pip')
    expect(box.index.fetched.filter((url) => url.includes('nvidia'))).toEqual([])
  })

  test('that nobody can send it to is an error where it is required', async () => {
    const box = await freshBox({served: [helper]})
    await expect(box.equip('required')).rejects.toMatchObject({code: 'BOX_UNSUITABLE'})
  })

  test.each(['required', 'wanted'] as const)(
    'that is given other bytes than the pinned ones is an error where it is %s',
    async (need) => {
      const box = await freshBox()
      await box.equip()
      await fakeUv(box.home, 'echo "Hash mismatch for nvidia-nvcomp-cu12"; exit 1')
      await expect(box.equip(need)).rejects.toMatchObject({code: 'INTEGRITY'})
    },
  )

  test('gets nothing that it may want later before it does, and then once', async () => {
    const box = await freshBox()
    await fakeUv(box.home, `echo x >> ${box.home}/said; ${UNZIP}`)
    const {installNvcomp, nvcompPath, nvcompWheels} = await box.equip('later')
    expect([nvcompPath, box.notices]).toEqual([undefined, []])
    expect(nvcompWheels).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    await writeFile(join(box.home, 'said'), '')
    const paths = await Promise.all([installNvcomp?.(), installNvcomp?.()])
    expect(await readdir(paths[0] ?? '')).toEqual(['dumont-complete', 'nvidia'])
    expect(paths[1]).toBe(paths[0])
    expect(await readFile(join(box.home, 'said'), 'utf8')).toBe('x\n')
    expect(box.notices).toEqual([expect.stringMatching(/NVIDIA's own licence/)])
    const again = await box.equip('later')
    expect([again.nvcompPath, again.installNvcomp]).toEqual([paths[0], undefined])
  })

  test('that may want it later does without where it cannot be installed', async () => {
    const {installNvcomp} = await (await freshBox()).equip('later')
    expect(await installNvcomp?.()).toBeUndefined()
  })

  test('that wants it later is never given other bytes than the pinned ones', async () => {
    const box = await freshBox()
    await box.equip()
    await fakeUv(box.home, 'echo "Hash mismatch for nvidia-nvcomp-cu12"; exit 1')
    const {installNvcomp} = await box.equip('later')
    await expect(installNvcomp?.()).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('starts the worker at once where it is only wanted later', async () => {
    const box = await freshBox()
    await box.equip()
    const running = async (need: NvcompOptions['need']) => {
      const started = (await box.equip(need, true)).running
      started?.kill()
      await started?.exited.catch(() => {})
      return started !== undefined
    }
    expect([await running('later'), await running('wanted')]).toEqual([true, false])
  })

  test('of a machine without pins says so', async () => {
    const box = await freshBox({machines: []})
    const {nvcompMissing} = await box.equip('required')
    expect(nvcompMissing).toMatch(/^there is no nvCOMP for /)
    expect(box.notices).toEqual([])
  })
})

test('a box without a driver gets no nvCOMP, whoever asks', async () => {
  const box = await freshBox({driver: false})
  for (const need of ['required', 'wanted', 'later'] as const) {
    const {installNvcomp, nvcompMissing, nvcompPath} = await box.equip(need)
    expect([nvcompMissing, nvcompPath]).toEqual(['no NVIDIA driver was found', undefined])
    expect(installNvcomp).toBeUndefined()
  }
  expect(box.notices).toEqual([])
})

test.each(MACHINES)('nvCOMP is pinned for %s as the worker expects it', async (machine) => {
  const text = await readFile(join(SCRIPTS, `requirements/nvcomp-${machine}.txt`), 'utf8')
  const source = await readFile(join(SCRIPTS, 'dumont_worker/gpu/requirement.py'), 'utf8')
  const pinned = /^PINNED = "(.*)"$/m.exec(source)?.[1]
  const wheels = parseRequirements(text)
  expect(importNames(wheels)).toEqual(['nvidia_nvcomp_cu12', 'nvidia_libnvcomp_cu12'])
  expect(wheels.map(({version}) => version)).toEqual([pinned, pinned])
  expect(pinned).toMatch(new RegExp(`^${NVCOMP_READS}\\.`, 'u'))
})

interface BoxOptions {
  readonly driver?: boolean
  readonly machines?: readonly string[]
  readonly served?: readonly FakeWheel[]
}

async function freshBox({driver = true, machines = MACHINES, served}: BoxOptions = {}) {
  const home = await scratch()
  const index = fakeIndex(served ?? [helper, nvcomp])
  const cacheDir = await scratch()
  const notices: string[] = []
  const native = PLATFORMS.flatMap((platform) => [
    [`native-${platform}`, helper.requirement],
    [`numpy-${platform}`, ''],
  ])
  const pins = machines.map((machine) => [`nvcomp-${machine}`, nvcomp.requirement])
  const bundle = {
    // Whether this machine has a GPU must not matter here.
    equip: script
      .replace('"/dev/nvidiactl"', `"${driver ? home : '/nowhere'}"`)
      .replace('"/proc/driver/nvidia/version"', '"/nowhere"'),
    requirements: Object.fromEntries([...native, ...pins]),
    sha256: createHash('sha256').update(worker).digest('hex'),
    worker,
  }
  const session = openLocalSession({HOME: home, PATH: '/usr/bin:/bin'})
  const wheels = {cacheDir, fetch: index.fetch, indexUrl: index.indexUrl}
  const equip = (need?: NvcompOptions['need'], serve = false) => {
    const wanted = need && {nvcomp: {need, onInstall: (notice: string) => notices.push(notice)}}
    return equipBox(session, {bundle, pythons: [python], serve, wheels, ...wanted})
  }
  return {equip, home, index, notices}
}

/** Installs what either set names: `--target DIR -r FILE`. */
const UNZIP = [
  'while [ "$1" != --target ]; do shift; done',
  'if grep -q nvidia "$4"; then module=nvidia; else module=helper_one; fi',
  'mkdir -p "$2/$module"; touch "$2/$module/__init__.py"',
].join('; ')

async function fakeUv(home: string, text: string): Promise<void> {
  const bin = join(home, '.local/bin')
  await mkdir(bin, {recursive: true})
  await writeFile(join(bin, 'uv'), `#!/bin/sh\n${text}\n`, {mode: 0o755})
}

function scratch(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'nvcomp-'))
}
