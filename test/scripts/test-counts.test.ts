import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {jestCounts, pytestCounts} from '../../scripts/test-counts.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dumont-counts-'))
})
afterAll(() => rm(folder, {force: true, recursive: true}))

async function report(name: string, text: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text)
  return file
}

describe('the counts of a test run', () => {
  test('take from jest also files that could not be loaded, and tests that are only planned', async () => {
    const file = await report(
      'jest.json',
      JSON.stringify({
        numFailedTests: 2,
        numPassedTests: 30,
        numPendingTests: 4,
        numRuntimeErrorTestSuites: 1,
        numTodoTests: 1,
      }),
    )
    expect(jestCounts(file)).toEqual({failed: 3, passed: 30, skipped: 5})
  })

  test('take from pytest errors as failures', async () => {
    const suite =
      '<testsuite name="pytest" errors="1" failures="2" skipped="3" tests="16" time="1">'
    const file = await report('pytest.xml', `<?xml version="1.0"?><testsuites>${suite}`)
    expect(pytestCounts(file)).toEqual({failed: 3, passed: 10, skipped: 3})
  })

  test('are nothing where no report was written', () => {
    const none = {failed: 0, passed: 0, skipped: 0}
    expect(jestCounts(join(folder, 'missing'))).toEqual(none)
    expect(pytestCounts(join(folder, 'missing'))).toEqual(none)
  })
})
