import {afterAll, beforeAll, expect, test} from '@jest/globals'
import {startDumont} from './dumont.js'
import {scratch} from './trees.js'

interface Shown {
  readonly findings: readonly {
    readonly what: string
    readonly state: string
    readonly message: string
    readonly remedy?: string
  }[]
}

let folder: string
let remove: () => Promise<void>
beforeAll(async () => {
  ;({path: folder, remove} = await scratch())
})
afterAll(() => remove())

async function doctor(...argv: string[]) {
  const command = ['doctor', '--store', `file://${folder}/store`, '--json', ...argv]
  const {code, stdout, stderr} = await startDumont(command).ended
  return {code, findings: (JSON.parse(stdout) as Shown).findings, stderr}
}

test('a look at this machine finds where settings are from, the store and what the box is', async () => {
  const {code, findings} = await doctor('--host', 'local')
  expect(code).toBe(0)
  expect(findings).toContainEqual(
    expect.objectContaining({what: 'settings', message: 'store from --store'}),
  )
  const names = findings.map(({what}) => what)
  expect(names).toEqual(
    expect.arrayContaining(['store', 'clock', 'local: connection', 'local: system', 'local: disk']),
  )
  expect(findings.filter(({state}) => state === 'bad')).toEqual([])
})

test('a box that cannot be reached is a finding with a remedy, and the others are looked at all the same', async () => {
  const {code, findings} = await doctor('--host', 'root@127.0.0.1:1', '--host', 'local')
  expect(code).toBe(69)
  const [bad, ...others] = findings.filter(({state}) => state === 'bad')
  expect(others).toEqual([])
  expect(bad).toMatchObject({what: 'root@127.0.0.1:1: connection'})
  expect(bad?.remedy).toMatch(/port/)
  expect(findings.some(({what}) => what === 'local: connection')).toBe(true)
})
