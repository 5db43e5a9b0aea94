import {PassThrough, Readable} from 'node:stream'
import type {BoxTools} from '../../../src/lib/instances/box-tools.js'
import type {ExecResult, Session} from '../../../src/lib/remote/session.js'

/** What a program printed, and how it ended (0). */
export type Answer =
  string | {readonly stdout?: string; readonly code: number; readonly stderr?: string}

/** A session whose programs say what the test wants; what was run is in `log`, as one line each. */
export function scriptedSession(answer: (line: string) => Answer, log: string[] = []): Session {
  const reply = (argv: readonly string[]): ExecResult => {
    const line = argv.join(' ')
    log.push(line)
    const said = answer(line)
    const {
      code,
      stderr = '',
      stdout = '',
    } = typeof said === 'string' ? {code: 0, stdout: said} : said
    return {code, stderr, stdout: Buffer.from(stdout)}
  }
  return {
    close: async () => {},
    exec: async (argv) => reply(argv),
    forward: async () => {
      throw new Error('no forward')
    },
    isLocal: false,
    label: 'root@box:22',
    lost: new Promise<never>(() => {}),
    start: async (argv) => {
      const {code, stderr, stdout} = reply(argv)
      return {
        exited: Promise.resolve(code),
        kill() {},
        stderr: Readable.from([stderr]),
        stdin: new PassThrough().resume(),
        stdout: Readable.from([Buffer.from(stdout)]),
      }
    },
  }
}

/** The same as tools that need no looking for. */
export function scriptedTools(answer: (line: string) => Answer, log: string[] = []): BoxTools {
  const session = scriptedSession(answer, log)
  return {
    exec: (argv, options) => session.exec(argv, options),
    session,
    start: (argv, signal) => session.start(argv, signal),
  }
}
