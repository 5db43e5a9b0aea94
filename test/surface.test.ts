import {expect, test} from '@jest/globals'
import {readFileSync} from 'node:fs'

interface Flag {
  readonly char?: string
  readonly hidden?: boolean
  readonly multiple?: boolean
  readonly options?: readonly string[]
  readonly required?: boolean
  readonly type: string
}

interface Manifest {
  readonly commands: Readonly<
    Record<
      string,
      {
        readonly args: Readonly<Record<string, {readonly required?: boolean}>>
        readonly flags: Readonly<Record<string, Flag>>
        readonly strict?: boolean
      }
    >
  >
}

// Scripts of operators rest on these names. A change here is a change for them: it belongs into CHANGELOG.md.
test('the commands, flags and arguments are those that scripts rely on', () => {
  const manifest = JSON.parse(readFileSync('oclif.manifest.json', 'utf8')) as Manifest
  const surface = Object.entries(manifest.commands).map(([id, {args, flags, strict}]) => [
    id,
    {
      args: named(args, ({required}) => (required ? 'required' : 'optional')),
      flags: named(flags, describeFlag),
      ...(strict === false ? {more: 'arguments'} : {}),
    },
  ])
  expect(Object.fromEntries(surface)).toMatchSnapshot()
})

function describeFlag({char, multiple, options, required, type}: Flag): string {
  return [
    type === 'boolean' ? 'boolean' : 'value',
    ...(char ? [`-${char}`] : []),
    ...(multiple ? ['multiple'] : []),
    ...(required ? ['required'] : []),
    ...(options ? [options.join('|')] : []),
  ].join(' ')
}

function named<T>(
  things: Readonly<Record<string, T>>,
  describe: (thing: T) => string,
): Record<string, string> {
  const entries = Object.entries(things).map(([name, thing]) => [name, describe(thing)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
