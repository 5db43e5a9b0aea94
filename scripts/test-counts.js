import {existsSync, readFileSync} from 'node:fs'

const NONE = {failed: 0, passed: 0, skipped: 0}

/** What jest's `--json` report says; a test file that could not be loaded counts as one failed test. */
export function jestCounts(file) {
  if (!existsSync(file)) return NONE
  const report = JSON.parse(readFileSync(file, 'utf8'))
  return {
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    passed: report.numPassedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/** What pytest's JUnit report says; errors of set-up and collection count as failed tests. */
export function pytestCounts(file) {
  if (!existsSync(file)) return NONE
  const suite = /<testsuite [^>]*>/u.exec(readFileSync(file, 'utf8'))?.[0] ?? ''
  const count = (name) => Number(new RegExp(` ${name}="(\\d+)"`, 'u').exec(suite)?.[1] ?? 0)
  const failed = count('failures') + count('errors')
  return {failed, passed: count('tests') - failed - count('skipped'), skipped: count('skipped')}
}
