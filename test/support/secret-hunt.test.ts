import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'
import {SecretHunt} from './secret-hunt.js'

const SECRET = 'the-secret-of-this-test'
let hunt: SecretHunt
let folder: string
beforeEach(async () => {
  hunt = new SecretHunt()
  hunt.plant('it', SECRET)
  folder = await mkdtemp(join(tmpdir(), 'dumont-hunt-'))
})
afterEach(() => rm(folder, {force: true, recursive: true}))

test.each([
  ['as it is', `key=${SECRET};`],
  ['in hexadecimal', Buffer.from(SECRET).toString('hex')],
  ['in base64', Buffer.from(SECRET).toString('base64')],
  ['in base64 behind one letter', Buffer.from(`x${SECRET}y`).toString('base64')],
  ['in base64 behind two letters', Buffer.from(`xx${SECRET}y`).toString('base64')],
  ['compressed', gzipSync(`a ${SECRET} b`)],
])('a secret is found %s', (_how, hay) => {
  hunt.look('there', hay)
  expect(hunt.sightings).toEqual([expect.stringMatching(/^it in there/u)])
})

test('what holds no secret is not accused', () => {
  hunt.look('there', 'the-secret-of-another-test')
  expect(hunt.sightings).toEqual([])
})

test('a secret is found in a file, wherever it lies', async () => {
  await writeFile(join(folder, 'log'), `x ${SECRET}`)
  hunt.lookBelow(folder)
  expect(hunt.sightings).toEqual([`it in ${join(folder, 'log')}`])
})

test('a secret is found in arguments and environment of processes, but not in the environment of its operator’s', async () => {
  const run = async (argv: string[], env: Record<string, string>, isOperators: boolean) => {
    const stop = hunt.watch([folder], () => isOperators)
    const child = spawn('sleep', ['5', ...argv], {env: {...env, HOME: folder}})
    for (let look = 0; look < 400 && !hunt.processes.has(child.pid ?? 0); look++)
      await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill()
    await once(child, 'exit')
    stop()
  }
  await run([], {KEY: SECRET}, true)
  expect(hunt.sightings).toEqual([])
  await run([], {KEY: SECRET}, false)
  expect(hunt.sightings).toEqual([expect.stringMatching(/^it in environment of sleep/u)])
})
