import {mkdtemp, readFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import {createInterface} from 'node:readline'
import {setTimeout as delay} from 'node:timers/promises'

import {expect, test} from '@jest/globals'

import {childEnvironment, openLocalSession} from '../../../src/lib/remote/local-session.js'
import {describeSession} from '../../contracts/session-contract.js'

const env = {HOME: tmpdir(), PATH: process.env['PATH']}

describeSession('this machine', async () => openLocalSession(env))

test('children see no credentials of the operator', () => {
  const seen = childEnvironment({
    AWS_SECRET_ACCESS_KEY: 'x',
    DUMONT_STORE: 'x',
    HOME: '/home/me',
    LC_ALL: 'C.UTF-8',
    PATH: '/bin',
    SSH_AUTH_SOCK: 'x',
    VAST_API_KEY: 'x',
  })
  expect(seen).toEqual({HOME: '/home/me', LC_ALL: 'C.UTF-8', PATH: '/bin'})
})

test('killing a program ends what it started', async () => {
  const session = openLocalSession(env)
  const program = await session.start(['sh', '-c', 'sleep 60 & echo $!; wait'])
  const [pid] = await firstLine(program.stdout as Readable)
  program.kill()
  await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE'})
  expect(await isGone(Number(pid))).toBe(true)
})

test('a program whose leader is killed from outside takes its children along', async () => {
  const session = openLocalSession(env)
  const program = await session.start(['sh', '-c', 'sleep 60 & echo $!; kill -9 $$'])
  const [pid] = await firstLine(program.stdout as Readable)
  await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE'})
  expect(await isGone(Number(pid))).toBe(true)
})

test('an empty command is refused', async () => {
  await expect(openLocalSession(env).exec([])).rejects.toMatchObject({code: 'USAGE'})
})

test('a program starts in the directory of this process and finds its own files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'local-'))
  await openLocalSession(env).exec(['sh', '-c', 'cat > "$1"', 'sh', join(directory, 'a')], {
    stdin: Buffer.from('x'),
  })
  expect(await readFile(join(directory, 'a'), 'utf8')).toBe('x')
})

async function firstLine(stream: Readable): Promise<string[]> {
  for await (const line of createInterface(stream)) return [line]
  return []
}

/** A killed process closes its files a moment before it is gone. */
async function isGone(pid: number): Promise<boolean> {
  for (let look = 0; look < 400; look += 1) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
    if (/\) [ZX]/.test(stat)) return true
    await delay(5)
  }
  return false
}
