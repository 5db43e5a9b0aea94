import {type Arbitrary, array, nat, tuple} from 'fast-check'

/** One change of an input: what is done, where, and with what; all of it derived from four numbers. */
type Change = readonly [deed: number, where: number, what: number, length: number]

const number = nat({max: 0xff_ff_ff_ff})
const change: Arbitrary<Change> = tuple(number, number, number, number)

/** One of the seeds, spoilt in up to eight places; what breaks a property is shrunk to the fewest changes. */
export function spoilt(seeds: readonly Uint8Array[]): Arbitrary<Uint8Array> {
  return tuple(nat({max: seeds.length - 1}), array(change, {minLength: 1, maxLength: 8})).map(
    ([index, changes]) => {
      const seed = Buffer.from(seeds[index] ?? [])
      return changes.reduce((input: Buffer, one) => applied(input, one, seeds), seed)
    },
  )
}

/** Longest input that is made: what is longer takes time and tells nothing new. */
const LONGEST = 1 << 18

function applied(input: Buffer, [deed, where, what, length]: Change, seeds: readonly Uint8Array[]) {
  const at = input.length === 0 ? 0 : where % (input.length + 1)
  const until = Math.min(input.length, at + 1 + (length % 64))
  const [before, after] = [input.subarray(0, at), input.subarray(at)]
  const other = Buffer.from(seeds[what % seeds.length] ?? [])
  const results: readonly (() => Buffer)[] = [
    () => flipped(input, at, what),
    () => Buffer.concat([before, Buffer.from([what & 0xff]), input.subarray(at + 1)]),
    () => Buffer.concat([before, input.subarray(until)]),
    () => Buffer.concat([before, token(what), after]),
    () => Buffer.concat([before, token(what), input.subarray(until)]),
    () => Buffer.concat([input.subarray(0, until), input.subarray(at)]),
    () => Buffer.concat([before, other.subarray(other.length === 0 ? 0 : length % other.length)]),
    () => number32(input, at, what),
    () => inJson(input, where, what, length),
    () => inJson(input, where, what, length),
    () => inJson(input, where, what, length),
    () => linesMoved(input, where, what),
  ]
  return (results[deed % results.length] ?? (() => input))().subarray(0, LONGEST)
}

function flipped(input: Buffer, at: number, what: number): Buffer {
  const result = Buffer.from(input)
  if (at < result.length) result[at] = (result[at] ?? 0) ^ (1 << (what % 8))
  return result
}

const NUMBERS = [0, 1, 0x7f_ff_ff_ff, 0x80_00_00_00, 0xff_ff_ff_ff, 4_194_304, 4_194_305, 65_535]

function number32(input: Buffer, at: number, what: number): Buffer {
  if (at + 4 > input.length) return input
  const result = Buffer.from(input)
  result.writeUInt32LE(NUMBERS[what % NUMBERS.length] ?? 0, at)
  return result
}

const TOKENS = [
  '\u001B[2J\u001B]0;owned\u0007',
  '\u202Egnp.exe',
  '\u0000',
  '\r\n',
  '\n',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '../../etc/passwd',
  '/',
  '..',
  '-oProxyCommand=x',
  '*'.repeat(40),
  'a'.repeat(3000),
  '[',
  '{',
  '['.repeat(2000),
  '1e999',
  '-1',
  'NaN',
  '9'.repeat(400),
  '9007199254740993',
  '&amp;',
  '<!DOCTYPE a [<!ENTITY b "c">]>',
  '<a>'.repeat(500),
  '&b: *a',
  '\u00FF',
  '=',
  ' ',
  ':',
  '|1|',
  '!',
  '%',
  '$'.repeat(20),
] as const

function token(what: number): Buffer {
  return Buffer.from(TOKENS[what % TOKENS.length] ?? '', 'utf8')
}

/** Values in JSON's own spelling: some cannot be made by `JSON.stringify`. */
const VALUES = [
  'null',
  'true',
  '-1',
  '-0',
  '0',
  '1',
  '2',
  '1.5',
  '1e999',
  '-1e999',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '1e308',
  '""',
  '"\\u001b[2J"',
  '"\\u202e"',
  '"\\u0000"',
  '"\\ud800"',
  '"../x"',
  '"/etc/passwd"',
  '"a/b"',
  '"."',
  '"__proto__"',
  '"constructor"',
  '"-1"',
  '"00"',
  '{}',
  '[]',
  '[[]]',
  '{"b64":"/w=="}',
  '{"b64":"!"}',
  '{"__proto__":{"x":1}}',
  '{"toString":1,"length":-1}',
  `"${'x'.repeat(5000)}"`,
  `[${'0,'.repeat(3000)}0]`,
  '['.repeat(500) + ']'.repeat(500),
] as const

/** Changes one value of the JSON in a line, so that what comes after its parser is reached. */
function inJson(input: Buffer, where: number, what: number, kind: number): Buffer {
  const lines = input.toString('utf8').split('\n')
  const whole = parsed(lines.join('\n'))
  const at = where % lines.length
  const value = whole ?? parsed(lines[at] ?? '')
  if (value === undefined) return input
  const places = placesIn(value, [])
  const place = places[(where >>> 3) % places.length]
  const text = place ? rewritten(value, place, what, kind) : (VALUES[what % VALUES.length] ?? '')
  if (whole !== undefined) return Buffer.from(text)
  return Buffer.from(lines.with(at, text).join('\n'))
}

function rewritten(value: unknown, place: Place, what: number, kind: number): string {
  const mark = '@@here@@'
  const copy = structuredClone(value)
  const holder = place.slice(0, -1).reduce<unknown>(into, copy) as Record<number | string, unknown>
  const last = place.at(-1) ?? ''
  const before = holder[last]
  if (kind % 5 === 0) delete holder[last]
  else if (kind % 5 === 1 && Array.isArray(holder)) holder.push(before)
  else holder[last] = mark
  const near =
    typeof before === 'number' && kind % 2 === 0 ? String(before + (what % 5) - 2) : undefined
  const text = JSON.stringify(copy)
  return text.replace(`"${mark}"`, () => near ?? VALUES[what % VALUES.length] ?? '')
}

type Place = readonly (number | string)[]

function into(value: unknown, key: number | string): unknown {
  return (value as Record<number | string, unknown>)[key]
}

const MOST_PLACES = 2000

function placesIn(value: unknown, at: Place): Place[] {
  if (typeof value !== 'object' || value === null || at.length > 12) return []
  const keys = Array.isArray(value) ? [...value.keys()].slice(0, 100) : Object.keys(value)
  return keys
    .flatMap((key) => [[...at, key], ...placesIn(into(value, key), [...at, key])])
    .slice(0, MOST_PLACES)
}

function parsed(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** Lines twice, gone, or in another's place. */
function linesMoved(input: Buffer, where: number, what: number): Buffer {
  const lines = input.toString('latin1').split('\n')
  const [one, other] = [where % lines.length, what % lines.length]
  const line = lines[one] ?? ''
  if (what % 3 === 0) lines.splice(one, 1)
  else if (what % 3 === 1) lines.splice(other, 0, line)
  else [lines[one], lines[other]] = [lines[other] ?? '', line]
  return Buffer.from(lines.join('\n'), 'latin1')
}
