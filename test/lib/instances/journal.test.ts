import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {openClaimOwner} from '../../../src/lib/instances/claim-owner.js'
import {openJournal, type Journal} from '../../../src/lib/instances/journal.js'
import {HastyClock} from './hasty-clock.js'

let stateDir: string
let journal: Journal
const ENTRY = {provider: 'vast', account: '4711', label: 'dumont-ä-1', id: null} as const
const SUBJECT = 'dumont-a-1'
const path = () => join(stateDir, 'repo', 'instances', `${SUBJECT}.log`)

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'journal-'))
  journal = openJournal(stateDir, 'repo', new HastyClock())
})
afterEach(() => rmSync(stateDir, {recursive: true, force: true}))

describe('the journal', () => {
  test('knows nothing of what never happened', async () => {
    expect(await journal.read(SUBJECT)).toEqual([])
    expect(await journal.subjects()).toEqual([])
  })

  test('keeps what happened in order, for its owner alone', async () => {
    await journal.append(SUBJECT, {...ENTRY, event: 'creating'})
    await journal.append(SUBJECT, {...ENTRY, event: 'created', id: '7'})
    expect((await journal.read(SUBJECT)).map(({event, id}) => [event, id])).toEqual([
      ['creating', null],
      ['created', '7'],
    ])
    expect(statSync(path()).mode & 0o777).toBe(0o600)
    expect(await journal.subjects()).toEqual([SUBJECT])
  })

  test('a line that was cut off never happened, and makes room', async () => {
    await journal.append(SUBJECT, {...ENTRY, event: 'creating'})
    appendFileSync(path(), '0123456789abcdef {"event":"cre')
    expect(await journal.read(SUBJECT)).toHaveLength(1)
    await journal.append(SUBJECT, {...ENTRY, event: 'created', id: '7'})
    expect(await journal.read(SUBJECT)).toHaveLength(2)
  })

  test('a changed line is damage, and nothing is written behind it', async () => {
    await journal.append(SUBJECT, {...ENTRY, event: 'restored', id: '7'})
    writeFileSync(path(), readFileSync(path(), 'utf8').replace('restored', 'creating'))
    await expect(journal.read(SUBJECT)).rejects.toMatchObject({code: 'INTEGRITY'})
    await expect(
      journal.append(SUBJECT, {...ENTRY, event: 'destroying', id: '7'}),
    ).rejects.toMatchObject({code: 'INTEGRITY'})
  })

  test('takes no more than its list', async () => {
    const more = {...ENTRY, event: 'creating' as const, token: 'secret'}
    await expect(journal.append(SUBJECT, more)).rejects.toThrow()
  })

  test('names of instances are no paths', async () => {
    await journal.append('instances/../../x', {...ENTRY, event: 'destroying'})
    expect(readdirSync(join(stateDir, 'repo', 'instances'))).toEqual([
      expect.stringMatching(/^x[0-9a-f]{32}\.log$/),
    ])
  })
})

describe('an owner of claims', () => {
  const open = (run: number, running: readonly number[] = []) =>
    openClaimOwner(stateDir, {
      random: (count) => Buffer.alloc(count, 7),
      run,
      isRunning: (other) => running.includes(other),
    })

  test('is this machine and this run', async () => {
    expect((await open(12)).id).toBe('0707070707070707.12')
    expect((await open(13)).id).toBe('0707070707070707.13')
  })

  test('takes runs of this machine for at work as long as they run', async () => {
    const owner = await open(12, [11])
    expect(owner.isAtWork('0707070707070707.11')).toBe(true)
    expect(owner.isAtWork('0707070707070707.10')).toBe(false)
    expect(owner.isAtWork('0707070707070707.12')).toBe(false)
  })

  test('never takes runs of other machines for dead', async () => {
    expect((await open(12)).isAtWork('ffff.1')).toBe(true)
  })
})
