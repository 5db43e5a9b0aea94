import {mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {openLossReport} from '../../../src/lib/snapshots/loss-report.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dumont-report-'))
})
afterEach(async () => rm(directory, {force: true, recursive: true}))

const entry = (path: string) => ({code: 'damaged', host: 'box', message: 'gone', path})

test('a report has a line for each entry, and is its owner’s alone', async () => {
  const path = join(directory, 'report')
  const report = openLossReport(path)
  report.add(entry('/a'))
  report.add(entry('/b\n'))
  report.close()
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([entry('/a'), entry('/b\n')])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('what was told is there although nobody closed it', async () => {
  const path = join(directory, 'report')
  const report = openLossReport(path)
  report.add(entry('/a'))
  expect(await readFile(path, 'utf8')).toContain('/a')
  report.close()
})

test('a file that is there is not written over', async () => {
  const path = join(directory, 'report')
  await writeFile(path, 'mine')
  expect(() => openLossReport(path)).toThrow(expect.objectContaining({code: 'TARGET_UNWRITABLE'}))
  expect(await readFile(path, 'utf8')).toBe('mine')
})

test('a directory that is not there is a failure in words', () => {
  expect(() => openLossReport(join(directory, 'no/report'))).toThrow(/cannot be written/)
})
