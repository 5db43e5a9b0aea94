import {expect, test} from '@jest/globals'
import type {TransferProgress} from '../../src/lib/progress/events.js'
import {lineView} from '../../src/ui/line-view.js'

function started() {
  const lines: string[] = []
  const time = {now: 0}
  const view = lineView((line) => lines.push(line), {now: () => time.now, sleep: async () => {}})
  const tell = (seconds: number, raw: number, host?: string) => {
    time.now = seconds * 1000
    const progress: TransferProgress = {
      files: 1,
      filesTotal: 2,
      parts: [],
      phase: 'transfer',
      raw,
      rawTotal: 1000,
      stored: 0,
      transferred: 0,
    }
    view.report({kind: 'transfer', progress, ...(host === undefined ? {} : {host})})
  }
  return {lines, tell, view}
}

test('a step is told once it is done', () => {
  const {lines, view} = started()
  view.report({kind: 'step', state: 'started', step: 'connect'})
  view.report({detail: 'root@a:22', kind: 'step', state: 'done', step: 'connect'})
  expect(lines).toEqual(['Connect: root@a:22'])
})
test('a box that failed while others go on is told at once', () => {
  const {lines, view} = started()
  view.report({detail: 'refused', host: 'b', kind: 'step', state: 'failed', step: 'restore'})
  expect(lines).toEqual(['b: FAILED: refused'])
})
test('a fast transfer fills no log', () => {
  const {lines, tell} = started()
  for (let step = 0; step <= 10; step += 1) tell(step, step * 100)
  expect(lines).toEqual([])
})
test('a slow transfer tells every 10 %, not more often than every 30 s', () => {
  const {lines, tell} = started()
  for (let second = 0; second <= 300; second += 1) tell(second, second * 2)
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['10', '20', '30', '40', '50', '60'])
})
test('bytes taken back by a retry are no line', () => {
  const {lines, tell} = started()
  tell(0, 500)
  tell(60, 300)
  expect(lines).toEqual([])
})
test('hosts are told apart', () => {
  const {lines, tell} = started()
  tell(0, 0, 'a')
  tell(0, 0, 'b')
  tell(40, 500, 'b')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^b: 50 %/)
})
