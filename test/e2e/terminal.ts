import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {stripVTControlCharacters} from 'node:util'
import {cleanEnvironment, ROOT} from './dumont.js'
import {PYTHON} from './trees.js'

/** Gives a program a terminal of its own, and ends as it ends. */
const PTY =
  'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])) & 0xff)'
/** A wide window, so that no line is broken; and, at the end, what became of the terminal. */
const SHELL = 'stty cols 250 rows 50; "$@"; code=$?; echo; stty -a; exit $code'
const LIMIT_MS = 30_000

/** A person at a terminal who runs one command. */
export interface Terminal {
  /** Waits for text that appears after what was last waited for; all of it since then, without colours. */
  shows(pattern: RegExp): Promise<string>
  /** Presses keys: `\r` for Enter, `\u0003` for Ctrl-C. */
  type(keys: string): void
  /** The exit code, and all that was ever on the screen. */
  readonly ended: Promise<{readonly code: number | null; readonly screen: string}>
}

export function openTerminal(
  argv: readonly string[],
  {env = {}, home}: {readonly env?: Readonly<Record<string, string>>; readonly home: string},
): Terminal {
  const command = [process.execPath, join(ROOT, 'bin/run.js'), ...argv]
  const child = spawn(PYTHON, ['-c', PTY, 'sh', '-c', SHELL, 'sh', ...command], {
    cwd: ROOT,
    env: {...cleanEnvironment(), HOME: home, TERM: 'xterm-256color', ...env},
    killSignal: 'SIGKILL',
    timeout: LIMIT_MS,
  })
  let [screen, seen] = ['', 0]
  const watchers = new Set<() => void>()
  const tell = (): void => {
    for (const watch of watchers) watch()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
    tell()
  })
  child.stderr.resume()
  const ended = new Promise<{code: number | null; screen: string}>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({code, screen: stripVTControlCharacters(screen)}))
  })
  const shows = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const all = stripVTControlCharacters(screen)
        const match = pattern.exec(all.slice(seen))
        if (!match) return
        watchers.delete(look)
        const shown = all.slice(seen, seen + match.index + match[0].length)
        seen += shown.length
        resolve(shown)
      }
      watchers.add(look)
      look()
      void ended.then(() => reject(new Error(`ended before ${String(pattern)}: ${screen}`)))
    })
  return {ended, shows, type: (keys) => void child.stdin.write(keys)}
}
