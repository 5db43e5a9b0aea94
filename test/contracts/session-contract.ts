import {connect} from 'node:net'
import {text} from 'node:stream/consumers'
import type {Readable, Writable} from 'node:stream'

import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'

import type {Session} from '../../src/lib/remote/session.js'

/** What every Session promises, whatever carries it. The box must be this machine, so that ports can be tried. */
export function describeSession(name: string, open: () => Promise<Session>): void {
  describe(`a session: ${name}`, () => {
    let session: Session
    beforeAll(async () => {
      session = await open()
    })
    afterAll(() => session.close())

    test('gives status, stdout and stderr of a program', async () => {
      const result = await session.exec(['sh', '-c', 'echo out; echo err >&2; exit 7'])
      expect(result).toMatchObject({code: 7, stderr: 'err\n'})
      expect(Buffer.from(result.stdout).toString()).toBe('out\n')
    })

    test('hands arguments on byte for byte', async () => {
      const words = ['a b', "it's", '$HOME', '"', '\\', '*', '', 'ü', 'x\ny']
      const {stdout} = await session.exec(['printf', '%s|', ...words])
      expect(Buffer.from(stdout).toString()).toBe(`${words.join('|')}|`)
    })

    test('feeds stdin to the end, whatever the bytes', async () => {
      const bytes = Buffer.alloc(300_000, Buffer.from([0, 255, 10, 13]))
      const {stdout} = await session.exec(['cat'], {stdin: bytes})
      expect(Buffer.compare(Buffer.from(stdout), bytes)).toBe(0)
    })

    test('does not wait for a program that leaves its stdin unread', async () => {
      const {code} = await session.exec(['true'], {stdin: Buffer.alloc(500_000)})
      expect(code).toBe(0)
    })

    test('reports a missing program as a shell does', async () => {
      expect((await session.exec(['/no/such/program'])).code).toBe(127)
    })

    test('refuses to take a death by signal for an exit', async () => {
      await expect(session.exec(['sh', '-c', 'kill -9 $$'])).rejects.toMatchObject({
        code: 'UNREACHABLE',
      })
    })

    test('stops a program that prints too much', async () => {
      await expect(session.exec(['cat', '/dev/zero'])).rejects.toMatchObject({code: 'WORKER'})
    })

    test('gives up on a program that does not end', async () => {
      await expect(session.exec(['sleep', '60'], {timeoutMs: 20})).rejects.toMatchObject({
        code: 'UNREACHABLE',
      })
    })

    test('stops waiting when told to', async () => {
      const stop = new AbortController()
      const running = session.exec(['sleep', '60'], {signal: stop.signal})
      stop.abort(new Error('enough'))
      await expect(running).rejects.toThrow('enough')
    })

    test('starts nothing when told to stop before', async () => {
      const signal = AbortSignal.abort(new Error('enough'))
      await expect(session.exec(['true'], {signal})).rejects.toThrow('enough')
      await expect(session.start(['true'], signal)).rejects.toThrow('enough')
      await expect(session.forward(() => {}, signal)).rejects.toThrow('enough')
    })

    test('talks with a running program until its stdin ends', async () => {
      const program = await session.start(['cat'])
      const answer = text(program.stdout as Readable)
      ;(program.stderr as Readable).resume()
      program.stdin.write('one\n')
      ;(program.stdin as Writable).end('two\n')
      expect(await answer).toBe('one\ntwo\n')
      expect(await program.exited).toBe(0)
    })

    test('a program that is killed never counts as ended well', async () => {
      const program = await session.start(['cat'])
      program.kill()
      program.kill()
      await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE'})
    })

    test('several programs run at the same time', async () => {
      const codes = [1, 2, 3, 4].map(
        async (code) => (await session.exec(['sh', '-c', `exit ${code}`])).code,
      )
      expect(await Promise.all(codes)).toEqual([1, 2, 3, 4])
    })

    test('connections to a forwarded port of the box arrive here', async () => {
      const forward = await session.forward((socket) => socket.pipe(socket))
      const client = connect(forward.port, '127.0.0.1')
      client.end('hello')
      expect(await text(client)).toBe('hello')
      await forward.close()
    })

    test('two forwarded ports are kept apart, and a closed one refuses', async () => {
      const one = await session.forward((socket) => socket.end('one'))
      const two = await session.forward((socket) => socket.end('two'))
      expect(await text(connect(two.port, '127.0.0.1'))).toBe('two')
      expect(await text(connect(one.port, '127.0.0.1'))).toBe('one')
      await one.close()
      await expect(text(connect(one.port, '127.0.0.1'))).rejects.toThrow('ECONNREFUSED')
      await two.close()
    })
  })

  describe(`a closed session: ${name}`, () => {
    test('is not called lost', async () => {
      const session = await open()
      await session.close()
      const waited = await Promise.race([
        session.lost.catch(() => 'lost'),
        Promise.resolve('quiet'),
      ])
      expect(waited).toBe('quiet')
    })

    test('leaves no program waiting', async () => {
      const session = await open()
      const program = await session.start(['sleep', '60'])
      await session.close()
      await expect(program.exited).rejects.toMatchObject({code: 'UNREACHABLE'})
    })
  })
}
