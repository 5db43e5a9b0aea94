import {spawnSync} from 'node:child_process'
import {closeSync, openSync} from 'node:fs'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from '@jest/globals'
import {EXIT} from '../../src/lib/errors.js'
import {ROOT} from './dumont.js'

test.each([
  ['in words', []],
  ['with --json', ['--json']],
])('a full disk behind stdout is told as such %s', async (_how, flags) => {
  const home = await mkdtemp(join(tmpdir(), 'dumont-full-'))
  const full = openSync('/dev/full', 'w')
  try {
    const argv = ['snapshot', 'prune', '--help', ...flags]
    const {status, stderr} = spawnSync(process.execPath, [join(ROOT, 'bin/run.js'), ...argv], {
      encoding: 'utf8',
      env: {HOME: home, PATH: process.env['PATH'] ?? ''},
      stdio: ['ignore', full, 'pipe'],
    })
    expect({status, stderr}).toEqual({
      status: EXIT.cannotWrite,
      stderr: 'Error: the result cannot be written to stdout (ENOSPC)\n',
    })
  } finally {
    closeSync(full)
    await rm(home, {recursive: true})
  }
})
