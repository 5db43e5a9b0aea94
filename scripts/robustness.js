// The robustness engines for as long as wanted: node scripts/robustness.js [--seed N] [--minutes M] [--only quick|real]
import {parseArgs} from 'node:util'
import {ROOT, run} from './run-step.js'

const {values} = parseArgs({
  options: {
    minutes: {default: '10', type: 'string'},
    only: {default: '', type: 'string'},
    seed: {type: 'string'},
  },
})
const env = {
  DUMONT_ROBUSTNESS_MINUTES: values.minutes,
  ...(values.seed === undefined ? {} : {DUMONT_ROBUSTNESS_SEED: values.seed}),
}
// Outages in real time are part of it.
const tests = [`test/robustness/${values.only}`, ...(values.only ? [] : ['test/e2e/resume-store'])]
const argv = ['npm', 'run', '--silent', 'test:cli', '--', '--runInBand', ...tests]
const {code} = await run(argv, {cwd: ROOT, env, minutes: 2 * Number(values.minutes) + 30})
process.exitCode = code
