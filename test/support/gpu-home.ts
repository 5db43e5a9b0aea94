import {cp, mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises'
import {arch, tmpdir} from 'node:os'
import {join} from 'node:path'
import {nvcompKeys} from '../../src/lib/worker/nvcomp-wheels.js'
import {loadWorkerBundle} from '../../src/lib/worker/worker-bundle.js'

const FAKE = join(import.meta.dirname, '../../gpu-scripts/tests/fake_nvcomp')
const MACHINE = arch() === 'arm64' ? 'aarch64' : 'x86_64'
const SMI = '0, GPU-1, NVIDIA H100 80GB HBM3, 570.86.15, 81559, 81000, 9.0'

/** Home and path of a box that seems to have a GPU: nvCOMP is a fake, where the real one would have been installed. */
export interface GpuHome {
  readonly env: {readonly HOME: string; readonly PATH: string}
  /** Breaks something of the fake from its next process on; see the fake. */
  breakNext(switches: string): Promise<void>
  mend(): Promise<void>
  remove(): Promise<void>
}

/** `sharedHome` is one with the native helpers, which are copied. */
export async function makeGpuHome(sharedHome: string): Promise<GpuHome> {
  const root = await mkdtemp(join(tmpdir(), 'dumont-gpu-'))
  const own = join(root, 'home/.cache/dumont')
  const tools = join(root, 'tools')
  await mkdir(tools, {recursive: true})
  await mkdir(own, {mode: 0o700, recursive: true})
  const shared = join(sharedHome, '.cache/dumont')
  const names = await readdir(shared).catch(() => [])
  for (const name of names.filter((one) => one.startsWith('native-')))
    await cp(join(shared, name), join(own, name), {recursive: true})
  const key = nvcompKeys((await loadWorkerBundle()).requirements)[MACHINE] ?? ''
  const nvcomp = join(own, `nvcomp-${key}`)
  await cp(FAKE, nvcomp, {recursive: true})
  await writeFile(join(nvcomp, 'dumont-complete'), key)
  await writeFile(join(tools, 'nvidia-smi'), `#!/bin/sh\necho '${SMI}'\n`, {mode: 0o755})
  const switches = join(nvcomp, 'switches')
  return {
    env: {HOME: join(root, 'home'), PATH: `${tools}:/usr/local/bin:/usr/bin:/bin`},
    breakNext: (text) => writeFile(switches, text),
    mend: () => rm(switches, {force: true}),
    remove: () => rm(root, {force: true, recursive: true}),
  }
}
