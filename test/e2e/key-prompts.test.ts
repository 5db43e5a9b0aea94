import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {join} from 'node:path'
import {dumont} from './dumont.js'
import {openTerminal, type Terminal} from './terminal.js'
import {scratch} from './trees.js'

const WORDS = 'correct horse battery'
const PASSPHRASE = /of the store \(empty to give up\)/u

describe('at a terminal', () => {
  let folder: string
  let remove: () => Promise<void>
  let text: string
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    const init = ['init', '--yes', '--store', `file://${folder}/store`]
    expect(await dumont(init, {home: join(folder, 'owner')})).toMatchObject({code: 0})
  })
  afterAll(() => remove())

  const store = () => ['--store', `file://${folder}/store`]
  const at = (machine: string, ...argv: string[]): Terminal =>
    openTerminal([...argv, ...store()], {home: join(folder, machine)})
  const list = (machine = 'stranger') => at(machine, 'snapshot', 'list')

  /** The exit code; the terminal shows again what is typed, and whole lines of it. */
  const ending = async ({ended}: Terminal): Promise<number | null> => {
    const {code, screen} = await ended
    expect(screen).toMatch(/ icanon /u)
    expect(screen).toMatch(/ echo /u)
    for (const secret of [WORDS, ...(text ? [text] : [])]) expect(screen).not.toContain(secret)
    return code
  }

  test('a new passphrase is typed twice, and nothing of it is shown', async () => {
    const terminal = at('owner', 'key', 'add', '--passphrase')
    await terminal.shows(/New passphrase \(empty to give up\)/u)
    terminal.type(`${WORDS}\r`)
    await terminal.shows(/The same again/u)
    terminal.type('correct house battery\r')
    await terminal.shows(/The same again[^]*The same again/u)
    terminal.type(`${WORDS}\r`)
    await terminal.shows(/passphrase [0-9a-f]{16} opens the store from now on/u)
    expect(await ending(terminal)).toBe(0)
  })

  test('a recovery text is shown once, and counts when two of its groups were typed', async () => {
    const terminal = at('owner', 'key', 'add', '--recovery')
    await terminal.shows(/Show the recovery text now, this once\?/u)
    terminal.type('\r')
    const shown = await terminal.shows(/Group \d of what you wrote down/u)
    const [recovery = ''] = /dumont-key-[a-z2-7\s-]+(?=\n)/u.exec(shown) ?? []
    const groups = recovery.replaceAll(/\s/gu, '').split('-').slice(2)
    expect(groups).toHaveLength(8)
    const numberIn = (question: string) => Number(/Group (\d) of what$/u.exec(question)?.[1])
    terminal.type('zzzzzzz\r')
    const first = numberIn(await terminal.shows(/not what stands there\.[^]*Group \d of what/u))
    terminal.type(`${groups[first - 1]?.toUpperCase()}\r`)
    const other = new RegExp(`Group [^${first}] of what`, 'u')
    const second = numberIn(await terminal.shows(other))
    terminal.type(`${groups[second - 1]}\r`)
    await terminal.shows(/recovery [0-9a-f]{16} opens the store from now on/u)
    expect(await ending(terminal)).toBe(0)
    text = ['dumont-key', ...groups].join('-')
  })

  test('a recovery text whose groups are not typed opens nothing', async () => {
    const terminal = at('owner', 'key', 'add', '--recovery')
    await terminal.shows(/Show the recovery text now, this once\?/u)
    terminal.type('\r')
    await terminal.shows(/Group \d of what you wrote down/u)
    terminal.type('\r')
    await terminal.shows(/not confirmed, so it opens nothing/u)
    expect(await ending(terminal)).toBe(2)
  })

  test('a wrong passphrase is asked for again, and the right one opens', async () => {
    const terminal = list()
    await terminal.shows(PASSPHRASE)
    terminal.type('correct house battery\r')
    await terminal.shows(/That opens none of them\.[^]*of the store/u)
    terminal.type(`${WORDS}\r`)
    await terminal.shows(/no snapshot/iu)
    expect(await ending(terminal)).toBe(0)
  })

  test('a recovery text opens as well, however it was copied', async () => {
    const terminal = list()
    await terminal.shows(PASSPHRASE)
    terminal.type(`${text.toUpperCase().replaceAll('-', ' ')}\r`)
    await terminal.shows(/no snapshot/iu)
    expect(await ending(terminal)).toBe(0)
  })

  test('three wrong ones are enough', async () => {
    const terminal = list()
    await terminal.shows(PASSPHRASE)
    for (const guess of ['one', 'two']) {
      terminal.type(`${guess}\r`)
      await terminal.shows(/That opens none of them\.[^]*of the store/u)
    }
    terminal.type('three\r')
    await terminal.shows(/what was typed: no key to/u)
    expect(await ending(terminal)).toBe(77)
  })

  test('nothing typed gives up', async () => {
    const terminal = list()
    await terminal.shows(PASSPHRASE)
    terminal.type('\r')
    await terminal.shows(/there is no key to .* on this machine/u)
    expect(await ending(terminal)).toBe(77)
  })

  test.each([
    ['a passphrase', () => list(), PASSPHRASE],
    ['a new one', () => at('owner', 'key', 'add', '--passphrase'), /New passphrase/u],
    ['a recovery text', () => at('owner', 'key', 'add', '--recovery'), /this once\?/u],
  ])('Ctrl-C while %s is asked for ends it at once', async (_what, begin, question) => {
    const terminal = begin()
    await terminal.shows(question)
    terminal.type('\u0003')
    await terminal.shows(/interrupted/u)
    expect(await ending(terminal)).toBe(130)
  })

  test('nobody is asked where there is none', async () => {
    const home = join(folder, 'stranger')
    const outcome = await dumont(['snapshot', 'list', ...store()], {home})
    expect(outcome).toMatchObject({code: 77, stdout: ''})
    expect(outcome.stderr).toContain('there is no key to')
    expect(outcome.stderr).not.toContain('empty to give up')
    const add = ['key', 'add', '--passphrase', ...store()]
    expect(await dumont(add, {home: join(folder, 'owner')})).toMatchObject({code: 2})
  })
})
