import {DumontError} from '../errors.js'
import type {BoxService} from '../snapshots/service.js'
import {untrusted} from '../untrusted.js'

const HOOK_MS = 60 * 60_000

/**
 * Runs a command line of the operator's on the box through `sh -c`. What happened is told as one JSON document on stdin and is
 * never part of the line. Rejects INCOMPLETE unless it ends with 0 within an hour.
 */
export async function runHook(
  {
    command,
    data,
    host,
    name,
  }: {
    readonly name: string
    readonly command: string
    readonly host: string
    readonly data: Readonly<Record<string, unknown>>
  },
  {openSession}: Pick<BoxService, 'openSession'>,
  signal?: AbortSignal,
): Promise<void> {
  const session = await openSession(host, signal)
  try {
    const {code, stderr} = await session.exec(['sh', '-c', command], {
      stdin: Buffer.from(`${JSON.stringify(data)}\n`),
      timeoutMs: HOOK_MS,
      ...(signal ? {signal} : {}),
    })
    if (code === 0) return
    const said = untrusted(stderr.trim().slice(-300), 300)
    throw new DumontError(
      'INCOMPLETE',
      `the ${name} ended with ${code}${said === '' ? '' : `: ${said}`}`,
      {hint: 'it runs on the box through `sh -c`; mend it and run the command again'},
    )
  } finally {
    await session.close()
  }
}
