import {execFileSync, spawn} from 'node:child_process'
import {chmod, copyFile, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Readable} from 'node:stream'

import {afterAll, beforeAll, expect, test} from '@jest/globals'

import {openSession} from '../../../src/lib/remote/open-session.js'
import {openSshSession} from '../../../src/lib/remote/ssh-session.js'
import {describeSession} from '../../contracts/session-contract.js'
import {loopbackTarget, quietDependencies} from '../../support/ssh-target.js'
import {describeWithSshd, makeKey, startSshd, type Sshd} from '../../support/sshd.js'

describeWithSshd('OpenSSH server', () => {
  let sshd: Sshd
  beforeAll(async () => {
    sshd = await startSshd()
  })
  afterAll(() => sshd.close())

  describeSession('OpenSSH', () => openSshSession(loopbackTarget(sshd), quietDependencies()))

  test('an encrypted key opens with its passphrase, asked once a run', async () => {
    const identityFile = await encryptedCopy(sshd, 'secret')
    const asked: string[] = []
    const askPassphrase = async (file: string) => (asked.push(file) === 1 ? 'wrong' : 'secret')
    const dependencies = quietDependencies({askPassphrase, passphrases: new Map()})
    const target = loopbackTarget({...sshd, identityFile})
    await (await openSshSession(target, dependencies)).close()
    await (await openSshSession(target, dependencies)).close()
    expect(asked).toEqual([identityFile, identityFile])
  })

  test('an encrypted key without anybody to ask is left out, and said so', async () => {
    const identityFile = await encryptedCopy(sshd, 'secret')
    const dependencies = quietDependencies()
    await expect(
      openSshSession(loopbackTarget({...sshd, identityFile}), dependencies),
    ).rejects.toMatchObject({
      code: 'AUTHENTICATION',
      message: expect.stringContaining('no key could be offered'),
    })
    expect(dependencies.notices).toContainEqual(
      expect.stringContaining('is encrypted and was left out'),
    )
  })

  test('a key in the agent logs in, without asking for the file it came from', async () => {
    const identityFile = await encryptedCopy(sshd, 'secret')
    const agent = await startAgent(join(sshd.directory, 'agent'), sshd.identityFile)
    try {
      const identities = {
        agentSocket: agent.socket,
        explicit: true,
        files: [identityFile],
        only: true,
      }
      const target = loopbackTarget(sshd, {identities})
      await (await openSshSession(target, quietDependencies())).close()
    } finally {
      agent.stop()
    }
  })

  test('an agent that does not answer is said and passed over', async () => {
    const dependencies = quietDependencies()
    const {identities} = loopbackTarget(sshd)
    const target = loopbackTarget(sshd, {
      identities: {...identities, agentSocket: join(sshd.directory, 'none')},
    })
    await (await openSshSession(target, dependencies)).close()
    expect(dependencies.notices).toContainEqual(expect.stringContaining('does not answer'))
  })

  test('a key the server does not know is refused by name', async () => {
    const identityFile = makeKey(join(sshd.directory, `stranger-${Date.now()}`))
    await expect(
      openSshSession(loopbackTarget({...sshd, identityFile}), quietDependencies()),
    ).rejects.toMatchObject({
      code: 'AUTHENTICATION',
      hint: expect.stringContaining('certificates'),
      message: expect.stringContaining(identityFile),
    })
  })

  test('a cut connection ends the running program and the session as lost', async () => {
    const session = await openSshSession(loopbackTarget(sshd), quietDependencies())
    const program = await session.start(['cat'])
    ;(program.stdout as Readable).resume()
    ;(program.stderr as Readable).resume()
    await sshd.killConnections()
    await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE', retry: 'later'})
    await expect(session.lost).rejects.toMatchObject({code: 'UNREACHABLE'})
    await expect(session.exec(['true'])).rejects.toMatchObject({code: 'UNREACHABLE'})
    await session.close()
  })

  test('more programs than the server opens channels for are refused with a reason', async () => {
    const session = await openSshSession(loopbackTarget(sshd), quietDependencies())
    const started = await Promise.allSettled(Array.from({length: 14}, () => session.start(['cat'])))
    const refused = started.filter((one) => one.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.reason).toMatchObject({hint: expect.stringContaining('MaxSessions')})
    await session.close()
  })

  test('an address and ~/.ssh/config are enough', async () => {
    const home = join(sshd.directory, 'operator')
    execFileSync('mkdir', ['-p', join(home, '.ssh')])
    await writeFile(
      join(home, '.ssh', 'config'),
      `Host box\n HostName 127.0.0.1\n Port ${sshd.port}\n User ${sshd.user}\n IdentityFile ${sshd.identityFile}\n UserKnownHostsFile ${sshd.knownHostsFile}\n`,
    )
    const session = await openSession('box', {...quietDependencies(), env: {}, home})
    expect(session.label).toBe(`${sshd.user}@127.0.0.1:${sshd.port}`)
    await session.close()
  })
})

describeWithSshd('a jump host', () => {
  let jump: Sshd
  let box: Sshd
  beforeAll(async () => {
    ;[jump, box] = await Promise.all([startSshd(), startSshd()])
  })
  afterAll(() => Promise.all([jump.close(), box.close()]))

  test('leads to the box, each verified under its own name', async () => {
    const session = await openSshSession(
      loopbackTarget(box, {jumps: [loopbackTarget(jump)]}),
      quietDependencies(),
    )
    expect((await session.exec(['true'])).code).toBe(0)
    await jump.killConnections()
    await expect(session.lost).rejects.toMatchObject({code: 'UNREACHABLE'})
    await session.close()
  })

  test('does not vouch for the box', async () => {
    const target = loopbackTarget(
      {...box, knownHostsFile: jump.knownHostsFile},
      {jumps: [loopbackTarget(jump)]},
    )
    await expect(openSshSession(target, quietDependencies())).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
      message: expect.stringContaining(`:${box.port}`),
    })
  })

  test('whose own key is unknown is refused by its own name', async () => {
    const target = loopbackTarget(box, {
      jumps: [loopbackTarget({...jump, knownHostsFile: box.knownHostsFile})],
    })
    await expect(openSshSession(target, quietDependencies())).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
      message: expect.stringContaining(`:${jump.port}`),
    })
  })

  test('that cannot reach the box says so', async () => {
    const target = loopbackTarget({...box, port: 1}, {jumps: [loopbackTarget(jump)]})
    await expect(openSshSession(target, quietDependencies())).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(new RegExp(`:${jump.port} cannot connect on to .*:1\\b`)),
    })
  })
})

describeWithSshd('a server that forbids forwarding', () => {
  test('is told apart, with the remedy', async () => {
    const sshd = await startSshd({config: ['AllowTcpForwarding no']})
    try {
      const session = await openSshSession(loopbackTarget(sshd), quietDependencies())
      await expect(session.forward(() => {})).rejects.toMatchObject({
        code: 'BOX_UNSUITABLE',
        hint: expect.stringContaining('AllowTcpForwarding'),
      })
      await session.close()
    } finally {
      await sshd.close()
    }
  })
})

async function encryptedCopy(sshd: Sshd, passphrase: string): Promise<string> {
  const file = join(sshd.directory, 'encrypted')
  await copyFile(sshd.identityFile, file)
  await chmod(file, 0o600)
  execFileSync('ssh-keygen', ['-q', '-p', '-a', '1', '-P', '', '-N', passphrase, '-f', file])
  expect(await readFile(file, 'utf8')).toContain('OPENSSH PRIVATE KEY')
  return file
}

async function startAgent(socket: string, key: string) {
  const child = spawn('ssh-agent', ['-D', '-a', socket], {stdio: ['ignore', 'pipe', 'ignore']})
  await new Promise((resolve) => child.stdout.once('data', resolve))
  execFileSync('ssh-add', ['-q', key], {
    env: {...process.env, SSH_AUTH_SOCK: socket},
    stdio: 'ignore',
  })
  return {socket, stop: () => child.kill()}
}
