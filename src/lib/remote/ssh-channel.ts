import type {Duplex, Readable} from 'node:stream'

import {DumontError} from '../errors.js'
import type {RemoteProcess} from './session.js'

/** An exec channel as ssh2 hands it out: stdin and stdout in one, stderr beside. */
export interface ExecChannel extends Duplex {
  readonly stderr: Readable
  close(): void
  signal(name: string): void
}

/**
 * Turns a channel's events into one outcome: a reported status resolves; a signal, or a close without either, rejects.
 * `gone` rejects when the transport below is no more.
 */
export function channelProcess(
  channel: ExecChannel,
  label: string,
  gone: Promise<never>,
): RemoteProcess {
  const state = {killed: false}
  const exited = Promise.race([ending(channel, label, state), gone])
  exited.catch(() => {})
  // Writing to a program that has ended is told by its exit, not by an uncaught error.
  channel.on('error', () => {})
  const kill = () => {
    state.killed = true
    endChannel(channel)
  }
  return {exited, kill, stderr: channel.stderr, stdin: channel, stdout: channel}
}

function ending(
  channel: ExecChannel,
  label: string,
  state: {readonly killed: boolean},
): Promise<number> {
  return new Promise((resolve, reject) => {
    let code: number | null | undefined
    let signal: string | undefined
    channel.once('exit', (status: number | null, name?: string) => {
      code = status
      signal = name
    })
    const settle = () => {
      // What was cut short may still say 0: it saw the end of its stdin.
      if (typeof code === 'number' && !state.killed) resolve(code)
      else reject(endedWithoutStatus(label, state.killed ? 'KILL' : signal))
    }
    // Only now has all output been delivered. A dying connection closes its channels too, right after its own end, and
    // output may be missing then even if the status has come: so `gone` gets the first word.
    channel.once('close', () => setImmediate(settle))
  })
}

function endedWithoutStatus(label: string, signal: string | undefined): DumontError {
  const how = signal === undefined ? 'without telling how it ended' : `by signal ${signal}`
  return new DumontError('UNREACHABLE', `the program on ${label} was ended ${how}`, {
    hint: 'look for a reboot or a lack of memory on the box, then run the command again',
    retry: 'later',
  })
}

/** sshd ignores signals for root logins, so the end of stdin and of the channel are what a program surely sees. */
function endChannel(channel: ExecChannel): void {
  channel.resume()
  channel.stderr.resume()
  channel.signal('KILL')
  channel.end()
  channel.close()
}
