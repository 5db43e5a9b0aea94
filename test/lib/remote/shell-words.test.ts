import {execFileSync} from 'node:child_process'

import {expect, test} from '@jest/globals'

import {shellCommand} from '../../../src/lib/remote/shell-words.js'

const HOSTILE = [
  '',
  ' ',
  "it's",
  '"',
  '$HOME',
  '`id`',
  '\\',
  'a\nb',
  '*',
  '~',
  '#',
  '!',
  ';',
  '&',
  'a=b',
  '-n',
  'ü',
  "''",
  '\t',
]

test('plain words stay as they are', () => {
  expect(shellCommand(['python3', '-I', '/root/.cache/worker-1.pyz'])).toBe(
    'python3 -I /root/.cache/worker-1.pyz',
  )
})

test('a shell hands every word on unchanged', () => {
  const command = shellCommand(['printf', String.raw`%s\0`, ...HOSTILE])
  expect(execFileSync('sh', ['-c', command], {encoding: 'utf8'}).split('\0').slice(0, -1)).toEqual(
    HOSTILE,
  )
})

test('a first word like NAME=value starts a program and sets no variable', () => {
  expect(shellCommand(['a=b'])).toBe("'a=b'")
})

test.each([[[]], [['a\0b']]])('%j is refused', (argv) => {
  expect(() => shellCommand(argv)).toThrow(expect.objectContaining({code: 'USAGE'}))
})
