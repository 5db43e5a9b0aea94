import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {openSession} from '../../../src/lib/remote/open-session.js'
import {quietDependencies} from '../../support/ssh-target.js'
import {type Sshd, sshdAvailable, startSshd} from '../../support/sshd.js'

const OTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIGXcy2DwVDyZJHqxyD9Qn3OOvxTHfnIJPfmTyhoQHgsL'
const whereSshdIs = sshdAvailable() ? describe : describe.skip

whereSshdIs('a machine whose key is pinned', () => {
  let sshd: Sshd
  let home: string
  beforeAll(async () => {
    sshd = await startSshd()
  })
  afterAll(() => sshd?.close())
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'dumont-pinned-'))
    await mkdir(join(home, '.ssh'))
  })
  afterEach(() => rm(home, {recursive: true}))

  const file = () => join(home, 'known_hosts/vast-1')
  const known = (text: string) => writeFile(join(home, '.ssh/known_hosts'), text)
  const foreign = () => `[127.0.0.1]:${sshd.port} ssh-ed25519 ${OTHER}\n`
  const connect = async (isNew: boolean) => {
    const session = await openSession(`${sshd.user}@127.0.0.1:${sshd.port}`, {
      ...quietDependencies(),
      env: {},
      home,
      identities: [sshd.identityFile],
      pin: {file: file(), isNew},
    })
    await session.close()
  }

  test('is taken at first sight, and then held to that key', async () => {
    await connect(true)
    expect(await readFile(file(), 'utf8')).toContain(`[127.0.0.1]:${sshd.port} ssh-ed25519 `)
    await connect(true)
  })

  test('with another key is refused, whoever else vouches for that', async () => {
    await mkdir(join(home, 'known_hosts'))
    await writeFile(file(), foreign())
    await known(`${sshd.hostKeyLine}\n`)
    await expect(connect(false)).rejects.toMatchObject({code: 'HOST_KEY_CHANGED'})
  })

  test('does not inherit what ~/.ssh knows of the machine that had its address before', async () => {
    await known(foreign())
    await connect(true)
  })

  test('is held to what ~/.ssh knows of it when it is not new', async () => {
    await known(foreign())
    await expect(connect(false)).rejects.toMatchObject({code: 'HOST_KEY_CHANGED'})
  })
})
