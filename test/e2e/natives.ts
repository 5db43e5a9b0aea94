import {existsSync} from 'node:fs'
import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {sharedHome, startDumont} from './dumont.js'

/**
 * The native helpers of this machine, for sealed stores and for others, by where a container is to see them: it has no way out to
 * install its own. Installed first if no test has needed them yet.
 */
export async function natives(): Promise<Record<string, string>> {
  const own = join(sharedHome(), '.cache/dumont')
  const installed = async () =>
    (await readdir(own).catch(() => [])).filter((name) => /^native-[\w-]+$/u.test(name))
  const has = async (seals: boolean) =>
    (await installed()).some((name) => existsSync(join(own, name, 'cryptography')) === seals)
  for (const [seals, flag] of [
    [true, '--encryption'],
    [false, '--no-encryption'],
  ] as const)
    if (!(await has(seals))) await equipThisMachine(flag)
  const names = await installed()
  return Object.fromEntries(names.map((name) => [`/root/.cache/dumont/${name}`, join(own, name)]))
}

async function equipThisMachine(flag: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'dumont-natives-'))
  try {
    const where = ['--host', 'local', '--store', `file://${folder}/store`, flag]
    const {code, stderr} = await startDumont(['snapshot', 'create', ...where, folder]).ended
    if (code !== 0) throw new Error(`this machine could not be equipped: ${stderr}`)
  } finally {
    await rm(folder, {force: true, recursive: true})
  }
}
