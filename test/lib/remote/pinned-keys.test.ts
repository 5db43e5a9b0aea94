import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {pinnedTarget} from '../../../src/lib/remote/pinned-keys.js'
import {loopbackTarget} from '../../support/ssh-target.js'

const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIGXcy2DwVDyZJHqxyD9Qn3OOvxTHfnIJPfmTyhoQHgsL'

let folder: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dumont-pins-'))
  file = join(folder, 'known_hosts', 'vast-1')
})
afterEach(() => rm(folder, {recursive: true}))

const target = () =>
  loopbackTarget({knownHostsFile: '/home/o/.ssh/known_hosts', port: 40001, user: 'root'})
const pin = async (line: string) => {
  await mkdir(join(folder, 'known_hosts'))
  await writeFile(file, line)
}

test('a new machine is held to its own file alone, and its first key is taken', async () => {
  const {knownHosts} = await pinnedTarget(target(), {file, isNew: true})
  expect(knownHosts).toEqual({acceptNew: true, system: [], user: [file]})
})

test('a machine that was there before is held to what ~/.ssh knows of it until it has a key of its own', async () => {
  const {knownHosts} = await pinnedTarget(target(), {file, isNew: false})
  expect(knownHosts.user).toEqual([file, '/home/o/.ssh/known_hosts'])
})

test('once its key is pinned nothing else vouches for the machine', async () => {
  await pin(`[127.0.0.1]:40001 ssh-ed25519 ${KEY}\n`)
  const {knownHosts} = await pinnedTarget(target(), {file, isNew: false})
  expect(knownHosts.user).toEqual([file])
})

test('the key of another address of the machine says nothing about this one', async () => {
  await pin(`[127.0.0.1]:40002 ssh-ed25519 ${KEY}\n`)
  const {knownHosts} = await pinnedTarget(target(), {file, isNew: false})
  expect(knownHosts.user).toHaveLength(2)
})

test('the folder of these files is its owner’s alone', async () => {
  await pinnedTarget(target(), {file, isNew: true})
  expect((await stat(join(folder, 'known_hosts'))).mode & 0o777).toBe(0o700)
})

test('jumps are not taken at first sight with it', async () => {
  const jump = target()
  const {jumps} = await pinnedTarget({...target(), jumps: [jump]}, {file, isNew: true})
  expect(jumps).toEqual([jump])
})
