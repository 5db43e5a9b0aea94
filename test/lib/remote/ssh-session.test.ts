import {generateKeyPairSync} from 'node:crypto'
import {mkdtemp, readFile, stat, writeFile} from 'node:fs/promises'
import {
  connect,
  createServer,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable} from 'node:stream'

import {afterEach, describe, expect, test} from '@jest/globals'
import ssh2, {type Connection, type ServerChannel} from 'ssh2'

import {fingerprint, knownHostsLine} from '../../../src/lib/remote/known-hosts.js'
import {DEFAULT_TIMINGS} from '../../../src/lib/remote/ssh-dependencies.js'
import {openSshSession} from '../../../src/lib/remote/ssh-session.js'
import {loopbackTarget, quietDependencies} from '../../support/ssh-target.js'

const HOST = rsaKey()
const OTHER_HOST = rsaKey()
const CLIENT = rsaKey()
const HOST_BLOB = publicBlob(HOST)
const SHORT = {...DEFAULT_TIMINGS, readyMs: 100}

const open: {close: () => void}[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

describe('a program', () => {
  test('that exits gives its status', async () => {
    const session = await sessionWith((channel) => {
      channel.exit(7)
      channel.end()
    })
    expect((await session.exec(['x'])).code).toBe(7)
  })

  test('whose channel closes without a status has not succeeded', async () => {
    const session = await sessionWith((channel) => channel.close())
    await expect(session.exec(['x'])).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('without telling'),
    })
  })

  test('that a signal ends is told apart', async () => {
    const session = await sessionWith((channel) => {
      channel.exit('KILL', false, '')
      channel.end()
    })
    await expect(session.exec(['x'])).rejects.toMatchObject({
      message: expect.stringContaining('KILL'),
    })
  })

  test('is not called successful when the connection drops under it', async () => {
    const session = await sessionWith((_channel, connection) => connection.end())
    const lost = expect(session.lost).rejects.toMatchObject({code: 'UNREACHABLE', retry: 'later'})
    await expect(session.exec(['x'])).rejects.toMatchObject({code: 'UNREACHABLE'})
    await lost
  })

  test('is not called successful when the connection drops after its status', async () => {
    const session = await sessionWith((channel, connection) => {
      channel.write('half of the out')
      channel.exit(0)
      connection.end()
    })
    await expect(session.exec(['x'])).rejects.toMatchObject({code: 'UNREACHABLE'})
  })

  test('gets one command line, quoted', async () => {
    const lines: string[] = []
    const session = await sessionWith((channel, _connection, command) => {
      lines.push(command)
      channel.exit(0)
      channel.end()
    })
    await session.exec(['echo', "it's"])
    expect(lines).toEqual([String.raw`echo 'it'\''s'`])
  })
})

describe('a peer that freezes', () => {
  test('is lost after the probes it leaves unanswered', async () => {
    const server = await startServer(() => {})
    const frozen = await freezable(server.port)
    const timings = {...DEFAULT_TIMINGS, keepaliveCount: 2, keepaliveMs: 20}
    const session = await openSshSession(
      loopbackTarget({...server, port: frozen.port}, {keyName: server.keyName}),
      quietDependencies({timings}),
    )
    const program = await session.start(['x'])
    ;(program.stdout as Readable).resume()
    frozen.freeze()
    await expect(session.lost).rejects.toMatchObject({
      message: expect.stringContaining('no longer answers'),
    })
    await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE'})
    await session.close()
  })

  test('does not hold up closing', async () => {
    const server = await startServer(() => {})
    const frozen = await freezable(server.port)
    const session = await openSshSession(
      loopbackTarget({...server, port: frozen.port}, {keyName: server.keyName}),
      quietDependencies({timings: {...DEFAULT_TIMINGS, closeMs: 20}}),
    )
    frozen.freeze()
    await expect(session.close()).resolves.toBeUndefined()
  })

  test('during the greeting is given up on', async () => {
    const port = await listen(createServer(() => {}))
    await expect(connectTo({port})).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('did not answer within 0.1 s'),
    })
  })

  test('ends the waiting when the operator does', async () => {
    const port = await listen(createServer(() => {}))
    const stop = new AbortController()
    const opening = openSshSession(await targetFor({port}), quietDependencies(), stop.signal)
    stop.abort(new Error('enough'))
    await expect(opening).rejects.toThrow('enough')
  })
})

describe('an address that leads nowhere', () => {
  test('refuses: the port is the hint', async () => {
    const port = await listen(createServer())
    for (const one of open.splice(0)) one.close()
    await expect(connectTo({port})).rejects.toMatchObject({
      code: 'UNREACHABLE',
      hint: expect.stringContaining('port'),
      message: expect.stringMatching(/root@127\.0\.0\.1:\d+ refused the connection/),
    })
  })

  test('has no such name', async () => {
    const target = {
      ...(await targetFor({port: 22})),
      host: 'no-such-box.invalid',
      label: 'root@no-such-box.invalid:22',
    }
    await expect(openSshSession(target, quietDependencies())).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/name/),
    })
  })

  test('speaks something else', async () => {
    const port = await listen(
      createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    await expect(connectTo({port})).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('does not speak SSH'),
    })
  })

  test('closes at once', async () => {
    const port = await listen(createServer((socket) => socket.destroy()))
    await expect(connectTo({port})).rejects.toMatchObject({code: 'UNREACHABLE'})
  })
})

describe('a host nobody has met', () => {
  test('is refused where nobody can answer, with its fingerprint', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    await expect(openSshSession(target, quietDependencies())).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
      hint: expect.stringContaining('--accept-new-host-key'),
      message: expect.stringContaining(fingerprint(HOST_BLOB)),
    })
  })

  test('is asked about, and remembered after a yes', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    const questions: unknown[] = []
    const hostKeyPolicy = {
      acceptNew: false,
      ask: async (question: unknown) => questions.push(question) > 0,
    }
    await (await openSshSession(target, quietDependencies({hostKeyPolicy}))).close()
    await (await openSshSession(target, quietDependencies())).close()
    expect(questions).toEqual([
      {fingerprint: fingerprint(HOST_BLOB), keyType: 'ssh-rsa', label: target.label},
    ])
  })

  test('is refused after a no, and not remembered', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    const hostKeyPolicy = {acceptNew: false, ask: async () => false}
    await expect(openSshSession(target, quietDependencies({hostKeyPolicy}))).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
    })
    await expect(stat(target.knownHosts.user[0] ?? '')).rejects.toThrow('ENOENT')
  })

  test('is accepted without a question when told to, in a file for the owner alone', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    const dependencies = quietDependencies({hostKeyPolicy: {acceptNew: true}})
    await (await openSshSession(target, dependencies)).close()
    const file = target.knownHosts.user[0] ?? ''
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file, 'utf8')).toBe(
      knownHostsLine(`[127.0.0.1]:${server.port}`, HOST_BLOB),
    )
    expect(dependencies.notices).toEqual([expect.stringContaining('added to')])
  })

  test('is accepted for this run when the file cannot be written', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    const knownHosts = {system: [], user: ['/proc/nowhere/known_hosts']}
    const dependencies = quietDependencies({hostKeyPolicy: {acceptNew: true}})
    await (await openSshSession({...target, knownHosts}, dependencies)).close()
    expect(dependencies.notices).toEqual([expect.stringContaining('for this run only')])
  })
})

describe('a host that is not the one known', () => {
  test('is refused even when new keys are accepted, naming file, line and remedy', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port}, (name) =>
      knownHostsLine(name, publicBlob(OTHER_HOST)),
    )
    const dependencies = quietDependencies({
      hostKeyPolicy: {acceptNew: true, ask: async () => true},
    })
    await expect(openSshSession(target, dependencies)).rejects.toMatchObject({
      code: 'HOST_KEY_CHANGED',
      hint: expect.stringMatching(/ssh-keygen -f .* -R '\[127\.0\.0\.1\]:\d+'/),
      message: expect.stringContaining('line 1'),
    })
  })

  test('is refused when its key is revoked', async () => {
    const server = await startServer(() => {})
    const target = await targetFor(
      {port: server.port},
      (name) => `@revoked ${knownHostsLine(name, HOST_BLOB)}`,
    )
    const dependencies = quietDependencies({hostKeyPolicy: {acceptNew: true}})
    await expect(openSshSession(target, dependencies)).rejects.toMatchObject({
      code: 'HOST_KEY_CHANGED',
      message: expect.stringContaining('revoked'),
    })
  })

  test('is refused when the file cannot be read', async () => {
    const server = await startServer(() => {})
    const target = await targetFor({port: server.port})
    const knownHosts = {system: [], user: [tmpdir()]}
    await expect(
      openSshSession({...target, knownHosts}, quietDependencies()),
    ).rejects.toMatchObject({
      code: 'HOST_KEY_UNKNOWN',
    })
  })

  test('is refused when it answers with another key after the question', async () => {
    let connections = 0
    const first = await startServer(() => {})
    const second = await startServer(() => {}, {hostKey: OTHER_HOST})
    const port = await listen(
      createServer((socket) => {
        connections += 1
        pipeTo(socket, connections === 1 ? first.port : second.port)
      }),
    )
    const dependencies = quietDependencies({hostKeyPolicy: {acceptNew: true}})
    await expect(openSshSession(await targetFor({port}), dependencies)).rejects.toMatchObject({
      code: 'HOST_KEY_CHANGED',
    })
  })
})

describe('a login', () => {
  test('that is refused names the keys tried', async () => {
    const server = await startServer(() => {}, {accept: false})
    await expect(openSshSession(loopbackTarget(server), quietDependencies())).rejects.toMatchObject(
      {
        code: 'AUTHENTICATION',
        message: expect.stringContaining(`${server.identityFile} (SHA256:`),
      },
    )
  })

  test('is not tried with keys where only passwords are taken', async () => {
    const server = await startServer(() => {}, {accept: false, methods: ['password']})
    await expect(openSshSession(loopbackTarget(server), quietDependencies())).rejects.toMatchObject(
      {
        code: 'AUTHENTICATION',
        hint: expect.stringContaining('passwords are not supported'),
      },
    )
  })

  test('says when a named key is absent or unusable', async () => {
    const server = await startServer(() => {})
    const broken = join(server.directory, 'broken')
    await writeFile(broken, 'no key')
    const identities = {
      agentSocket: undefined,
      explicit: true,
      files: [join(server.directory, 'absent'), broken, server.identityFile],
      only: true,
    }
    const dependencies = quietDependencies()
    await (await openSshSession(loopbackTarget(server, {identities}), dependencies)).close()
    expect(dependencies.notices).toEqual([
      expect.stringContaining('absent cannot be read'),
      expect.stringContaining('broken cannot be used'),
    ])
  })
})

type Program = (channel: ServerChannel, connection: Connection, command: string) => void

interface ServerOptions {
  readonly accept?: boolean
  readonly hostKey?: string
  readonly methods?: ('password' | 'publickey')[]
}

async function startServer(program: Program, options: ServerOptions = {}) {
  const {accept = true, hostKey = HOST, methods = ['publickey']} = options
  const server = new ssh2.Server({hostKeys: [hostKey]}, (connection) => {
    connection.on('error', () => {})
    connection.on('authentication', (context) => {
      if (accept && context.method === 'publickey') context.accept()
      else context.reject(methods)
    })
    connection.on('session', (acceptSession) => {
      acceptSession().on('exec', (acceptExec, _reject, {command}) =>
        program(acceptExec(), connection, command),
      )
    })
  })
  const port = await listen(server)
  const directory = await mkdtemp(join(tmpdir(), 'ssh-'))
  const keyName = `[127.0.0.1]:${port}`
  const identityFile = join(directory, 'id')
  const knownHostsFile = join(directory, 'known_hosts')
  await writeFile(identityFile, CLIENT, {mode: 0o600})
  await writeFile(knownHostsFile, knownHostsLine(keyName, publicBlob(hostKey)))
  return {directory, identityFile, keyName, knownHostsFile, port, user: 'root'}
}

async function sessionWith(program: Program) {
  const session = await openSshSession(
    loopbackTarget(await startServer(program)),
    quietDependencies(),
  )
  open.push({close: () => void session.close()})
  return session
}

/** A target whose known_hosts file holds what `known` gives for its name, or does not exist. */
async function targetFor({port}: {port: number}, known?: (name: string) => string) {
  const directory = await mkdtemp(join(tmpdir(), 'ssh-'))
  const identityFile = join(directory, 'id')
  const knownHostsFile = join(directory, 'known_hosts')
  await writeFile(identityFile, CLIENT, {mode: 0o600})
  if (known !== undefined) await writeFile(knownHostsFile, known(`[127.0.0.1]:${port}`))
  return loopbackTarget({identityFile, knownHostsFile, port, user: 'root'})
}

async function connectTo(address: {port: number}) {
  return openSshSession(await targetFor(address), quietDependencies({timings: SHORT}))
}

/** A relay that can stop carrying bytes without closing anything. */
async function freezable(port: number) {
  let frozen = false
  const relay = createServer({allowHalfOpen: true}, (near) => {
    const far = connect({allowHalfOpen: true, host: '127.0.0.1', port})
    near.on('data', (bytes) => frozen || far.write(bytes))
    far.on('data', (bytes) => frozen || near.write(bytes))
    for (const socket of [near, far]) {
      socket.on('error', () => {})
      open.push({close: () => socket.destroy()})
    }
  })
  return {
    freeze: () => {
      frozen = true
    },
    port: await listen(relay),
  }
}

function pipeTo(socket: Socket, port: number): void {
  const far = connect(port, '127.0.0.1')
  open.push({close: () => far.destroy()})
  far.on('error', () => {})
  socket.on('error', () => {})
  socket.pipe(far).pipe(socket)
}

function listen(server: NetServer): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  open.push({
    close: () => {
      server.close()
      for (const socket of sockets) if (typeof socket.destroy === 'function') socket.destroy()
    },
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function rsaKey(): string {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: {format: 'pem', type: 'pkcs1'},
    publicKeyEncoding: {format: 'pem', type: 'pkcs1'},
  }).privateKey
}

function publicBlob(key: string): Buffer {
  const parsed = ssh2.utils.parseKey(key)
  if (parsed instanceof Error) throw parsed
  return parsed.getPublicSSH()
}
