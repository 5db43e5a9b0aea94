import * as v from 'valibot'

import {DumontError} from '../errors.js'
import type {RemoteProcess, Session} from '../remote/session.js'
import {shellCommand} from '../remote/shell-words.js'
import {untrusted} from '../untrusted.js'
import {answerIn, BOOT_STDIN, parseAnswer} from './box-answer.js'
import {runUntilAnswer} from './shell-answer.js'

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

const Unsuitable = v.object({path: v.string(), reason: v.string(), version: v.string()})

export interface Question {
  /** Python text that defines `equip_box`. */
  readonly script: string
  readonly request: object
  /** Interpreters to try instead of the usual ones. */
  readonly pythons?: readonly string[]
}

/** What the script said, and the shell it ran in: a script that asked for it is followed there by a program. */
export interface Asked {
  readonly answer: unknown
  readonly running: RemoteProcess
}

/**
 * Runs a script with the first Python on the box that suits it and gives its answer: one round trip. The whole travels
 * over stdin to plain `sh`, so neither the login shell nor its quoting matters. Words that the script writes to its third
 * descriptor are a program that the shell then turns into. Errors: BOX_UNSUITABLE, which lists what was found, and what
 * the script itself refuses.
 */
export async function askFirstPython(
  session: Session,
  question: Question,
  signal?: AbortSignal,
): Promise<Asked> {
  const {output, running, stderr} = await runUntilAnswer(session, shellText(question), signal)
  const answer = answerIn(output)
  if (answer !== undefined) return {answer: parseAnswer(answer, session.label), running}
  const code = await running.exited
  if (code === UNSUITABLE) throw noPython(session.label, output)
  const said = stderr().slice(-300) || `status ${code}`
  throw new DumontError('WORKER', `looking for Python on ${session.label} failed: ${said}`, {
    hint: 'log in by hand and look whether sh works there',
  })
}

/**
 * A function, so that the shell has read everything before a program could eat its stdin. A Python that served before is
 * asked first, if only we could write its name down: those on the PATH may hide behind slow wrappers.
 */
function shellText({script, request, pythons}: Question): string {
  const candidates =
    pythons === undefined ? ['"$dumont_last"', ...CANDIDATES].join(' ') : shellCommand(pythons)
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
  own="\${XDG_CACHE_HOME:-$HOME/.cache}/dumont"
  dumont_last=
  [ -O "$own" ] && [ -O "$own/python" ] && read -r dumont_last <"$own/python"
  for candidate in ${candidates}; do
    found=$(command -v "$candidate" 2>/dev/null) || continue
    next=$(dumont_probe "$found" 3>&1 >&4)
    status=$?
    [ $status -eq 0 ] && [ -n "$next" ] && eval "exec $next 4>&-"
    [ $status -eq 0 ] && exit 0
    [ $status -eq ${UNSUITABLE} ] || echo "dumont-broken $found (ends with status $status)"
  done
  exit ${UNSUITABLE}
}
dumont_look 4>&1
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
