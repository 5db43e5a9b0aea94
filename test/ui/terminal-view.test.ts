import {describe, expect, test} from '@jest/globals'
import {stripVTControlCharacters} from 'node:util'
import {terminalView} from '../../src/ui/terminal-view.js'

function open(hosts: readonly string[]) {
  let text = ''
  const stream = {
    columns: 80,
    rows: 24,
    write: (more: string) => {
      text += more
      return true
    },
  } as NodeJS.WriteStream
  const clock = {now: () => 0, sleep: async () => {}}
  const view = terminalView({clock, hosts, steps: ['connect', 'restore'], stream})
  /** The lines that stay on the screen. */
  const left = () =>
    stripVTControlCharacters(text.slice(text.lastIndexOf('\u001B[G')))
      .split('\n')
      .filter(Boolean)
  return {left, view}
}

describe('one box', () => {
  test('leaves a line for each step with what it said, even before listr2 had begun', async () => {
    const {left, view} = open(['a'])
    view.report({detail: 'root@a', kind: 'step', state: 'done', step: 'connect'})
    view.report({kind: 'step', state: 'done', step: 'restore'})
    await view.succeed()
    expect(left()).toEqual(['✔ Connect · root@a', '✔ Restore'])
  })

  test('that fails leaves a cross at the step it failed in, and the later ones untouched', async () => {
    const {left, view} = open(['a'])
    await view.fail()
    expect(left()).toEqual(['✖ Connect', '◼ Restore'])
  })
})

test('what happens while a question is asked is shown after it', async () => {
  const {left, view} = open(['a'])
  await view.whileAsking(async () => {
    view.report({detail: 'root@a', kind: 'step', state: 'done', step: 'connect'})
  })
  await view.fail()
  expect(left()).toEqual(['✔ Connect · root@a', '✖ Restore'])
})

describe('several boxes', () => {
  test('leave a line each, and only those that failed a cross', async () => {
    const {left, view} = open(['a', 'b'])
    view.report({host: 'a', kind: 'step', state: 'started', step: 'connect'})
    view.report({host: 'a', kind: 'step', state: 'failed', step: 'restore', detail: 'refused'})
    view.report({host: 'b', kind: 'step', state: 'done', step: 'restore'})
    await view.succeed()
    expect(left()).toEqual(['✖ a · Connect', '✔ b · Restore'])
  })
})
