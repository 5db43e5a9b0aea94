import {describe, expect, test} from '@jest/globals'
import {rowsOf, Screen} from '../../src/ui/screen.js'

/** Erases and frames the way log-update does. */
const erase = (rows: number): string =>
  rows === 0 ? '' : `\u001B[2K${'\u001B[1A\u001B[2K'.repeat(rows - 1)}\u001B[G`

function open(columns: number) {
  const written: string[] = []
  const terminal = {
    columns,
    write: (text: string | Uint8Array): boolean => written.push(String(text)) > 0,
  }
  const screen = new Screen(terminal)
  const stream = screen.stream()
  return {draw: (text: string) => stream.write(text), screen, terminal, written}
}

describe('a frame', () => {
  test('erases the one before, row by row', () => {
    const {draw, written} = open(80)
    draw('one\ntwo\n')
    draw(`${erase(3)}three\n`)
    expect(written).toEqual(['one\ntwo\n', `${erase(3)}three\n`])
  })

  test('that is the last one stays, whatever is written after it', () => {
    const {draw, written} = open(80)
    draw('one\n')
    draw(erase(2))
    draw('last\n')
    draw('more\n')
    expect(written).toEqual(['one\n', erase(2), 'last\n', 'more\n'])
  })

  test('erases what the terminal made of the one before when it became narrower', () => {
    const {draw, terminal, written} = open(10)
    draw('0123456789\n')
    terminal.columns = 4
    draw(`${erase(2)}0123\n`)
    expect(written[1]).toBe(`${erase(4)}0123\n`)
  })
})

describe('a question', () => {
  test('stands alone with a cursor: the frame goes before it, and nothing is drawn while it is there', () => {
    const {draw, screen, written} = open(80)
    draw('one\ntwo\n')
    screen.pause(true)
    draw(`${erase(3)}three\n`)
    expect(written).toEqual(['one\ntwo\n', erase(3), '\u001B[?25h'])
  })

  test('stays with its answer: the next frame comes below and erases nothing', () => {
    const {draw, screen, written} = open(80)
    draw('one\ntwo\n')
    screen.pause(true)
    draw(`${erase(3)}three\n`)
    screen.pause(false)
    draw(`${erase(2)}four\n`)
    expect(written.at(-1)).toBe('four\n')
  })
})

test('rows are counted as they are seen: without colours, wrapped at the edge', () => {
  expect(rowsOf('', 80)).toBe(0)
  expect(rowsOf('\u001B[32m✔\u001B[39m one\n', 80)).toBe(2)
  expect(rowsOf('✔✔✔✔\n', 3)).toBe(3)
  expect(rowsOf('long line\n', undefined)).toBe(2)
})
