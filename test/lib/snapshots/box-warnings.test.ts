import {expect, test} from '@jest/globals'
import type {ProgressEvent} from '../../../src/lib/progress/events.js'
import {BoxWarnings} from '../../../src/lib/snapshots/box-warnings.js'

function collected() {
  const events: ProgressEvent[] = []
  return {events, warnings: new BoxWarnings((event) => events.push(event), 'gpu1')}
}
const unreadable = {code: 'unreadable', message: 'no', path: 'file', type: 'warning'} as const

test('every warning is told and the first twenty are kept', () => {
  const {events, warnings} = collected()
  for (let number = 0; number < 30; number += 1) warnings.add(unreadable)
  expect(warnings.count).toBe(30)
  expect(warnings.first).toHaveLength(20)
  expect(events).toHaveLength(30)
})
test('the rest that is only counted counts', () => {
  const {warnings} = collected()
  warnings.add(unreadable)
  warnings.add({code: 'more', count: 41, message: '', path: '', type: 'warning'})
  expect(warnings.count).toBe(42)
})
test('a flood ends the conversation instead of filling this machine', () => {
  const {events, warnings} = collected()
  for (let number = 0; number < 1001; number += 1) warnings.add(unreadable)
  expect(() => warnings.add(unreadable)).toThrow(expect.objectContaining({code: 'WORKER'}))
  expect(events).toHaveLength(1001)
})
