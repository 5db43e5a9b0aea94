import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {mkdir, readdir, utimes, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {mountTmpfs, testWithMount} from '../e2e/mounts.js'
import {ROOT} from '../e2e/dumont.js'
import {scratch} from '../e2e/trees.js'

describe('the temporary directory of a run', () => {
  let folder: string
  let remove: () => Promise<void>
  beforeEach(async () => {
    ;({path: folder, remove} = await scratch())
  })
  afterEach(() => remove())

  /** Makes one, lets `between` work in it, and drops it; what was said on the way. */
  const run = (between = ''): string => {
    const program = `
      const {default: make} = await import('./test/support/temporary-root.js')
      const {default: drop} = await import('./test/support/drop-temporary-root.js')
      process.stderr.write = process.stdout.write.bind(process.stdout)
      make()
      ${between}
      drop()`
    const argv = ['--input-type=module', '--eval', program]
    const env = {...process.env, TMPDIR: folder}
    return execFileSync(process.execPath, argv, {cwd: ROOT, encoding: 'utf8', env})
  }

  test('takes everything with it, whatever its permissions', async () => {
    const leave = `
      const fs = await import('node:fs')
      fs.mkdirSync(process.env.TMPDIR + '/a/b', {recursive: true})
      fs.writeFileSync(process.env.TMPDIR + '/a/b/c', 'x')
      fs.chmodSync(process.env.TMPDIR + '/a', 0o500)
      console.log(fs.readdirSync(process.env.TMPDIR).length)`
    expect(run(leave)).toBe('1\n')
    expect(await readdir(folder)).toEqual([])
  })

  const YESTERDAY = Date.now() / 1000 - 86_400
  /** The highest process id that a kernel hands out is lower. */
  const GONE = 4_999_999

  test('is removed by a later run when its own was killed', async () => {
    for (const name of [`dumont-run-${GONE}-x`, `dumont-run-${process.pid}-x`, 'of-others']) {
      await mkdir(join(folder, name))
      await utimes(join(folder, name), YESTERDAY, YESTERDAY)
    }
    await mkdir(join(folder, `dumont-run-${GONE}-young`))
    run()
    expect((await readdir(folder)).toSorted()).toEqual(
      [`dumont-run-${GONE}-young`, `dumont-run-${process.pid}-x`, 'of-others'].toSorted(),
    )
  })

  testWithMount('stays, and is named, while something is mounted in it', async () => {
    const abandoned = join(folder, `dumont-run-${GONE}-x`)
    const mounted = join(abandoned, 'with space')
    await mkdir(mounted, {recursive: true})
    mountTmpfs(mounted)
    await utimes(abandoned, YESTERDAY, YESTERDAY)
    try {
      await writeFile(join(mounted, 'precious'), '')
      expect(run()).toContain(`LEFT: ${abandoned}, for something is mounted at ${mounted}`)
      expect(await readdir(mounted)).toEqual(['precious'])
    } finally {
      execFileSync('umount', [mounted])
    }
  })
})
