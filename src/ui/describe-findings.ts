import type {Finding} from '../lib/checkup/finding.js'
import {untrusted} from '../lib/untrusted.js'

const SIGNS = {bad: '✗', good: '✓', note: '!'} as const

/** A line for each finding, its remedy below, and how many want mending. */
export function describeFindings(findings: readonly Finding[]): string {
  const wide = Math.max(...findings.map(({what}) => what.length))
  const lines = findings.flatMap(({message, remedy, state, what}) => [
    `${SIGNS[state]} ${untrusted(what, 80).padEnd(wide)}  ${untrusted(message, 400)}`,
    ...(remedy === undefined ? [] : [`  ${' '.repeat(wide)}  → ${untrusted(remedy, 400)}`]),
  ])
  const count = findings.filter(({state}) => state === 'bad').length
  const sum = count === 0 ? 'nothing stands in the way' : `${count} to mend`
  return [...lines, sum].join('\n')
}
