import {expect, test} from '@jest/globals'
import {unknownCommand} from '../src/unknown-command.js'

const KNOWN = ['init', 'snapshot:create', 'snapshot:list', 'snapshot:restore']

test.each([
  ['snapshot:restroe:latest', '`dumont snapshot restroe`', '`dumont snapshot restore`'],
  ['snapshto', '`dumont snapshto`', '`dumont snapshot`'],
  ['ini', '`dumont ini`', '`dumont init`'],
  ['restore:latest', '`dumont restore`', '`dumont snapshot restore`'],
  ['snapshot:xyzzy', '`dumont snapshot xyzzy`', 'see `dumont --help`'],
  ['help', '`dumont help`', 'see `dumont --help`'],
])('%s is answered with the nearest command, or where to look', (typed, named, hint) => {
  expect(unknownCommand(typed, KNOWN)).toMatchObject({
    code: 'USAGE',
    hint,
    message: `there is no command ${named}`,
  })
})

test('a word too many is not taken for a command', () => {
  expect(unknownCommand('snapshot:list:extra', KNOWN)).toMatchObject({
    code: 'USAGE',
    hint: 'see `dumont snapshot list --help`',
    message: '`dumont snapshot list` takes no arguments, but there is extra',
  })
})
