import {expect, test} from '@jest/globals'
import {usageError} from '../src/usage-error.js'

const KNOWN = {command: 'dumont snapshot list', flags: ['name', 'store', 'json']}
const SEE = 'see `dumont snapshot list --help`'

function told(message: string, more: object = {}): {message: string; hint: string | undefined} {
  const {hint, message: said} = usageError(Object.assign(new Error(message), more), KNOWN)
  return {hint, message: said}
}

test('a mistyped flag is answered with the one that was meant', () => {
  const failure = told('Nonexistent flag: --nam\nSee more help with --help', {flags: ['--nam']})
  expect(failure).toEqual({hint: `--name, or ${SEE}`, message: 'there is no flag --nam'})
})
test('a flag that resembles none is answered with where to look', () => {
  const failure = told('Nonexistent flag: --colour', {flags: ['--colour']})
  expect(failure).toEqual({hint: SEE, message: 'there is no flag --colour'})
})
test('a missing argument is named as the help names it', () => {
  const args = [{description: 'the beginning of an id', name: 'id'}]
  expect(told('Missing 1 required arg:\nid  the beginning of an id', {args})).toEqual({
    hint: SEE,
    message: 'ID is missing: the beginning of an id',
  })
})
test.each([
  [
    'The following error occurred:\n  Missing required flag host\nSee more help with --help',
    '--host is missing',
  ],
  [
    'Parsing --parts \n\tExpected an integer but received: x\nSee more help with --help',
    '--parts: expected an integer but received: x',
  ],
  [
    'Expected --codec=foo to be one of: auto, zstd\nSee more help with --help',
    'Expected --codec=foo to be one of: auto, zstd',
  ],
])('%j is said in one line', (message, said) => {
  expect(told(message)).toEqual({hint: SEE, message: said})
})
