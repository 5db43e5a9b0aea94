import {mkdir, mkdtemp, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {expect, test} from '@jest/globals'

import {readSshConfig} from '../../../src/lib/remote/ssh-config-file.js'
import {parseSshConfig, readHostOptions} from '../../../src/lib/remote/ssh-options.js'

test('without a file there is nothing to follow', async () => {
  expect(await readSshConfig(await mkdtemp(join(tmpdir(), 'home-')), unexpected)).toBe('')
})

test('a file that cannot be read is an error, not an empty one', async () => {
  const home = await mkdtemp(join(tmpdir(), 'home-'))
  await mkdir(join(home, '.ssh', 'config'), {recursive: true})
  await expect(readSshConfig(home, unexpected)).rejects.toMatchObject({code: 'CONFIG'})
})

test('Include puts files in, and a section of theirs ends with them', async () => {
  const home = await homeWith({
    config: 'Include config.d/*.conf\nUser everyone\n',
    'config.d/a.conf': 'Host gpu1\n  Port 2222\n',
    'config.d/b.txt': 'Port 1\n',
  })
  const config = parseSshConfig(await readSshConfig(home, unexpected))
  expect(readHostOptions(config, {host: 'gpu1'})).toMatchObject({port: '2222', user: 'everyone'})
  expect(readHostOptions(config, {host: 'gpu2'})).toMatchObject({port: undefined, user: 'everyone'})
})

test('Include inside a section is left out with a notice', async () => {
  const home = await homeWith({config: 'Host gpu1\n  Include other\n', other: 'Port 1\n'})
  const notices: string[] = []
  await readSshConfig(home, (text) => notices.push(text))
  expect(notices).toEqual([expect.stringContaining('Include other')])
})

test('a file that includes itself ends in an error', async () => {
  const home = await homeWith({config: 'Include config\n'})
  await expect(readSshConfig(home, unexpected)).rejects.toMatchObject({code: 'CONFIG'})
})

async function homeWith(files: Record<string, string>): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'home-'))
  await mkdir(join(home, '.ssh', 'config.d'), {recursive: true})
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, '.ssh', name), text)
  return home
}

function unexpected(text: string): void {
  throw new Error(`unexpected notice: ${text}`)
}
