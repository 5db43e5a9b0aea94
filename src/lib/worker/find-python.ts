import * as v from 'valibot'

import {DumontError} from '../errors.js'
import type {Session} from '../remote/session.js'
import {shellCommand} from '../remote/shell-words.js'
import {untrusted} from '../untrusted.js'
import {answerIn, BOOT_STDIN, parseAnswer} from './box-answer.js'

/** Where rented images keep their Python, best first; names without a slash are looked up on the PATH. */
const CANDIDATES = [
  '/venv/main/bin/python',
  '"${VIRTUAL_ENV:-/nowhere}"/bin/python',
  'python3',
  ...[14, 13, 12, 11, 10].map((minor) => `python3.${minor}`),
  '"${CONDA_PREFIX:-/nowhere}"/bin/python',
  '/opt/conda/bin/python',
  '/opt/miniforge3/bin/python',
  '/opt/miniconda3/bin/python',
  '"$HOME"/miniforge3/bin/python',
  '"$HOME"/miniconda3/bin/python',
  '"$HOME"/anaconda3/bin/python',
  '/usr/local/bin/python3',
  '/usr/bin/python3',
  '"$HOME"/.local/bin/python3',
  '"$HOME"/.local/share/uv/python/*/bin/python3',
]

const END_OF_SCRIPT = 'DUMONT_EQUIP_END'
const UNSUITABLE = 9
const LOOK_MS = 60_000

const Unsuitable = v.object({path: v.string(), reason: v.string(), version: v.string()})

export interface Question {
  /** Python text that defines `equip_box`. */
  readonly script: string
  readonly request: object
  /** Interpreters to try instead of the usual ones. */
  readonly pythons?: readonly string[]
}

/**
 * Runs a script with the first Python on the box that suits it and gives its answer: one round trip. The whole travels
 * over stdin to plain `sh`, so neither the login shell nor its quoting matters. Errors: BOX_UNSUITABLE, which lists what
 * was found, and what the script itself refuses.
 */
export async function askFirstPython(
  session: Session,
  question: Question,
  signal?: AbortSignal,
): Promise<unknown> {
  const stdin = Buffer.from(shellText(question))
  const result = await session.exec(['sh'], {
    stdin,
    timeoutMs: LOOK_MS,
    ...(signal ? {signal} : {}),
  })
  const output = Buffer.from(result.stdout).toString('utf8')
  const answer = answerIn(output)
  if (answer !== undefined) return parseAnswer(answer, session.label)
  if (result.code === UNSUITABLE) throw noPython(session.label, output)
  const said = untrusted(result.stderr.trim().slice(-300)) || `status ${result.code}`
  throw new DumontError('WORKER', `looking for Python on ${session.label} failed: ${said}`, {
    hint: 'log in by hand and look whether sh works there',
  })
}

/** A function, so that the shell has read everything before a program could eat its stdin. */
function shellText({script, request, pythons}: Question): string {
  const candidates = pythons === undefined ? CANDIDATES.join(' ') : shellCommand(pythons)
  if (script.includes(END_OF_SCRIPT))
    throw new DumontError('WORKER', 'the equip script is malformed')
  const words = Buffer.from(JSON.stringify(request)).toString('base64')
  return `dumont_probe() {
  "$1" -I -c '${BOOT_STDIN}' ${words} <<'${END_OF_SCRIPT}'
${script}
${END_OF_SCRIPT}
}
dumont_look() {
  HOME="\${HOME:-/root}"
  PATH="\${PATH:-/usr/local/bin:/usr/bin:/bin}"
  for candidate in ${candidates}; do
    found=$(command -v "$candidate" 2>/dev/null) || continue
    dumont_probe "$found"
    status=$?
    [ $status -eq 0 ] && exit 0
    [ $status -eq ${UNSUITABLE} ] || echo "dumont-broken $found (ends with status $status)"
  done
  exit ${UNSUITABLE}
}
dumont_look
`
}

function noPython(label: string, output: string): DumontError {
  const found = output.split('\n').flatMap((line) => {
    if (line.startsWith('dumont-broken ')) return [line.slice('dumont-broken '.length)]
    return line.startsWith('dumont-python ')
      ? readUnsuitable(line.slice('dumont-python '.length))
      : []
  })
  const list = untrusted([...new Set(found)].join(', '), 600) || 'none'
  return new DumontError(
    'BOX_UNSUITABLE',
    `${label} has no Python the worker can run with; found: ${list}`,
    {
      hint: 'install CPython 3.10 to 3.14 on the box (apt-get install python3, or uv python install 3.12), or choose another image',
    },
  )
}

function readUnsuitable(text: string): string[] {
  try {
    const {path, reason, version} = v.parse(Unsuitable, JSON.parse(text))
    return [`${path} (${version}: ${reason})`]
  } catch {
    // The box's own words are only shown; what cannot be read is not shown.
    return []
  }
}
