import * as v from 'valibot'

import {DumontError, type ErrorCode} from '../errors.js'
import {untrusted} from '../untrusted.js'

const MARKER = 'dumont-equip 1 '
const NEWLINE = 0x0a

/** One line, because some shells refuse quoted newlines. Reads its code from stdin. Also understood by Pythons too old to run the code: they name themselves and end with 9. */
export const BOOT_STDIN = [
  'import sys, json',
  'old = sys.version_info < (3, 10)',
  'said = {"path": sys.executable, "version": sys.version.split()[0], "reason": "older than 3.10"}',
  'old and print("dumont-python " + json.dumps(said))',
  'old and sys.exit(9)',
  'import base64, io',
  'space = {"__name__": "dumont_equip"}',
  'exec(compile(sys.stdin.read(), "dumont-equip", "exec"), space)',
  'sys.exit(space["equip_box"](json.loads(base64.b64decode(sys.argv[1])), io.BytesIO()))',
].join('; ')

/** Reads so many bytes of code from stdin, and leaves the rest to it. */
export const BOOT_PAYLOAD = [
  'import sys, json, base64',
  'space = {"__name__": "dumont_equip"}',
  'exec(compile(sys.stdin.buffer.read(int(sys.argv[2])), "dumont-equip", "exec"), space)',
  'sys.exit(space["equip_box"](json.loads(base64.b64decode(sys.argv[1])), sys.stdin.buffer))',
].join('; ')

const REFUSALS = [
  'BOX_DISK_FULL',
  'BOX_UNSUITABLE',
  'INTEGRITY',
  'TARGET_UNWRITABLE',
] as const satisfies readonly ErrorCode[]

const Answer = v.union([
  v.object({ok: v.unknown()}),
  v.object({
    refused: v.object({code: v.picklist(REFUSALS), hint: v.string(), message: v.string()}),
  }),
])

/** Where the line of the answer ends, its line end included; undefined while it has not come whole. */
export function endOfAnswer(output: Buffer): number | undefined {
  let start = output.indexOf(MARKER)
  while (start > 0 && output[start - 1] !== NEWLINE) start = output.indexOf(MARKER, start + 1)
  const end = start < 0 ? -1 : output.indexOf(NEWLINE, start)
  return end < 0 ? undefined : end + 1
}

/** The answer's line without its marker; login shells may have printed anything before it. */
export function answerIn(output: string): string | undefined {
  const line = output.split('\n').findLast((one) => one.startsWith(MARKER))
  return line?.slice(MARKER.length)
}

/** What the script gave; what it refused is thrown as it said, in the box's name. */
export function parseAnswer(line: string, label: string): unknown {
  const answer = v.safeParse(Answer, readJson(line))
  if (!answer.success) {
    throw new DumontError(
      'WORKER',
      `${label} gave an answer that makes no sense: ${untrusted(line, 200)}`,
    )
  }
  if ('ok' in answer.output) return answer.output.ok
  const {code, hint, message} = answer.output.refused
  throw new DumontError(code, `${label}: ${untrusted(message)}`, {hint: untrusted(hint)})
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
