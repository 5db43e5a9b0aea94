import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {stripVTControlCharacters} from 'node:util'
import type {ProgressEvent, Step} from '../../src/lib/progress/events.js'
import {storyView} from '../../src/ui/story-view.js'
import type {View} from '../../src/ui/view.js'

let view: View
let written: string[]
const time = {now: 0}

beforeEach(() => {
  written = []
  time.now = 0
  const write = (text: string) => written.push(text) > 0
  const stream = {columns: 80, rows: 24, write} as unknown as NodeJS.WriteStream
  view = storyView(stream, {now: () => time.now, sleep: async () => {}})
})
afterEach(() => view.succeed())

const tell = (step: Step, state: 'done' | 'failed' | 'started', detail?: string): void =>
  view.report({kind: 'step', state, step, ...(detail === undefined ? {} : {detail})})
const warn = (message: string): void => view.report({code: 'x', kind: 'warning', message})
/** Lines that stay on the screen: those that end. */
const story = (): readonly string[] =>
  written
    .map((text) => stripVTControlCharacters(text))
    .filter((text) => text.endsWith('\n'))
    .map((text) => text.trimEnd())
const frame = (): string => stripVTControlCharacters(written.at(-1) ?? '')

describe('the story of work whose steps are not known before', () => {
  test('a step that is done stays, with what it found and how long it took', () => {
    tell('boot', 'started')
    time.now = 95_000
    tell('boot', 'done', '30000001')
    expect(story()).toEqual(['✔ Wait for the machine · 30000001 · 1 min 35 s'])
  })

  test('what goes on is below, with the vendor’s newest word', () => {
    tell('boot', 'started', 'created')
    tell('boot', 'started', 'loading')
    expect(frame()).toContain('Wait for the machine · loading · 0 s')
  })

  test('a step inside another is indented, and ends with it', () => {
    tell('rescan', 'started')
    tell('transfer', 'started')
    tell('rescan', 'done')
    tell('prove', 'started')
    expect(frame()).not.toContain('Transfer')
    tell('prove', 'done')
    expect(story()).toEqual(['✔ Look for changes', '✔ Prove the snapshot'])
  })

  test('the same step comes again in a next round, after the one that failed', () => {
    tell('boot', 'started')
    tell('boot', 'failed', 'exited')
    tell('boot', 'started')
    tell('boot', 'done')
    expect(story()).toEqual(['✖ Wait for the machine · exited', '✔ Wait for the machine'])
  })

  test('a warning is told when it comes, not hours later', () => {
    tell('boot', 'started')
    warn('30000001: it is gone')
    expect(story()).toEqual(['warning: 30000001: it is gone'])
    expect(frame()).toContain('Wait for the machine')
  })

  test('a failure names the innermost step that had not ended', async () => {
    tell('rescan', 'started')
    tell('transfer', 'started')
    await view.fail()
    expect(story()).toEqual(['✖ Transfer'])
  })

  test('success leaves nothing behind that was not done', async () => {
    tell('look', 'started')
    await view.succeed()
    expect(story()).toEqual([])
  })

  test('nothing is written over a question; what happened meanwhile is told after the answer', async () => {
    tell('prove', 'started')
    await view.whileAsking(async () => {
      const before = written.length
      warn('late')
      tell('prove', 'done')
      expect(written).toHaveLength(before)
    })
    expect(story()).toEqual(['warning: late', '✔ Prove the snapshot'])
  })

  test('a transfer shows its bytes under its step', () => {
    tell('transfer', 'started')
    const event: ProgressEvent = {
      kind: 'transfer',
      progress: {
        files: 1,
        filesTotal: 2,
        parts: [[3, 50, 100, 1]],
        phase: 'transfer',
        raw: 500,
        rawTotal: 1000,
        stored: 100,
        transferred: 100,
      },
    }
    view.report(event)
    expect(frame()).toContain('50 %')
    expect(frame()).toContain('part   3')
  })
})
