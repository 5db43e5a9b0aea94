import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {once} from 'node:events'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {createServer, type Server} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {findPublicKeys} from '../../../src/lib/remote/public-keys.js'

let home: string
let server: Server | undefined

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'dumont-keys-'))
  await mkdir(join(home, '.ssh'))
})
afterEach(async () => {
  server?.close()
  server = undefined
  await rm(home, {recursive: true})
})

const sized = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
/** A blob that names its type, and its line. */
const key = (seed: string, type = 'ssh-ed25519') => {
  const blob = Buffer.concat([sized(Buffer.from(type)), sized(Buffer.from(seed.repeat(32)))])
  return {blob, line: `${type} ${blob.toString('base64')}`}
}
const write = (name: string, text: string) => writeFile(join(home, '.ssh', name), text)
const find = (env: Record<string, string> = {}, given: readonly string[] = []) =>
  findPublicKeys({env, given, home})
const agent = async (answer: Buffer): Promise<string> => {
  const path = join(home, 'agent')
  server = createServer((socket) =>
    socket.on('data', () => socket.end(answer)).on('error', () => {}),
  )
  server.listen(path)
  await once(server, 'listening')
  return path
}
const listing = (...blobs: Buffer[]): Buffer => {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(blobs.length)
  const keys = blobs.flatMap((blob) => [sized(blob), sized(Buffer.from('comment'))])
  return sized(Buffer.concat([Buffer.from([12]), count, ...keys]))
}

test('the usual keys are found by their public halves, without the comment', async () => {
  await write('id_ed25519.pub', `${key('a').line} me@secret-host\n`)
  await write('id_rsa.pub', `${key('b', 'ssh-rsa').line}\n`)
  expect(await find()).toEqual([key('a').line, key('b', 'ssh-rsa').line])
})

test('a named key stands alone', async () => {
  await write('id_ed25519.pub', key('a').line)
  await write('other.pub', key('b').line)
  expect(await find({}, [join(home, '.ssh/other')])).toEqual([key('b').line])
})

test('keys of ~/.ssh/config take the place of the usual ones', async () => {
  await write('config', 'Host *\n  IdentityFile ~/.ssh/work\n')
  await write('id_ed25519.pub', key('a').line)
  await write('work.pub', key('b').line)
  expect(await find()).toEqual([key('b').line])
})

test('what the agent holds comes after the files, each key once', async () => {
  await write('id_ed25519.pub', key('a').line)
  const socket = await agent(listing(key('a').blob, key('c').blob))
  expect(await find({SSH_AUTH_SOCK: socket})).toEqual([key('a').line, key('c').line])
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a refusal', sized(Buffer.from([5]))],
  [
    'a key that is cut off',
    sized(Buffer.concat([Buffer.from([12, 0, 0, 0, 1]), Buffer.from([0, 0, 1, 0, 7])])),
  ],
  ['a count beyond its keys', sized(Buffer.from([12, 255, 255, 255, 255]))],
])('an agent that answers %s has no keys', async (_what, answer) => {
  expect(await find({SSH_AUTH_SOCK: await agent(answer)})).toEqual([])
})

test('an agent that is not there has no keys', async () => {
  expect(await find({SSH_AUTH_SOCK: join(home, 'nobody')})).toEqual([])
})

test('a file that is no key is left out', async () => {
  await write('id_ed25519.pub', 'ssh-ed25519 AAAA nonsense\n')
  expect(await find()).toEqual([])
})
