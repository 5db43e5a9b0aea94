import {realpath} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'
import {DumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {untrusted} from '../untrusted.js'

/**
 * Refuses (USAGE) what a restore to this machine must never write over: without a target, `/`, and the home directory or
 * what holds it.
 */
export async function checkTarget(
  target: string | undefined,
  {home, session}: {readonly session: Session; readonly home: string},
): Promise<void> {
  if (!session.isLocal) return
  if (target === undefined)
    throw new DumontError('USAGE', 'a restore to this machine needs a target', {
      hint: 'add --target /path',
    })
  const [place, own] = await Promise.all([resolved(target), resolved(home)])
  if (place === '/' || own === place || own.startsWith(`${place}/`))
    throw new DumontError(
      'USAGE',
      `a restore to this machine never writes into ${untrusted(target)}`,
      {
        hint: 'choose a directory of its own, for example one below your home directory',
      },
    )
}

/** The path behind all symbolic links, also when its end does not exist yet. */
async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'ENOENT' || dirname(path) === path) throw unreachable(path, error)
    const parent = await resolved(dirname(path))
    return join(parent, basename(path))
  }
}

function unreachable(path: string, cause: unknown): DumontError {
  return new DumontError(
    'TARGET_UNWRITABLE',
    `${untrusted(path)} cannot be reached: ${(cause as Error).message}`,
    {
      cause,
      hint: 'see that every directory above it exists and may be entered',
    },
  )
}
