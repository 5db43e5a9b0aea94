import {expect, test} from '@jest/globals'
import {join} from 'node:path'
import {boxPath} from '../src/box-path.js'

test('a relative path on this machine begins at the working directory', () => {
  expect(boxPath('./back/', ['local'])).toBe(join(process.cwd(), 'back'))
})
test('an absolute path stays', () => {
  expect(boxPath('/a/b', ['local'])).toBe('/a/b')
})
test.each([
  ['', ['local']] as const,
  ['~/x', ['local']] as const,
  ['back', ['gpu1']] as const,
  ['back', ['local', 'gpu1']] as const,
])('%j for %j is not guessed at', (path, hosts) => {
  expect(boxPath(path, hosts)).toBe(path)
})
