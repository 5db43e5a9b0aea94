import {describe, expect, test} from '@jest/globals'
import {systemClock} from '../../../src/lib/clock.js'
import {freeze} from '../../../src/lib/instances/freeze.js'
import {lookForWriters} from '../../../src/lib/instances/stillness.js'
import {stopProcesses} from '../../../src/lib/instances/stop-processes.js'
import {scriptedTools, type Answer} from './scripted-box.js'

interface Process {
  readonly pid: number
  readonly name: string
  readonly parent?: number
  readonly state?: string
  /** A thread of the kernel's own. */
  readonly kernel?: boolean
}

const OURS: readonly Process[] = [
  {name: 'tini', pid: 1},
  {kernel: true, name: 'kworker', pid: 3},
  {name: 'sshd', parent: 1, pid: 10},
  {name: 'sshd', parent: 10, pid: 11},
  {name: 'python3', parent: 11, pid: 12},
]
const TRAINING: Process = {name: 'train\\nState:\tZ', parent: 1, pid: 50}

/** A box with these processes, on which our login is 11; signals that stop take effect, and `other` answers the rest. */
function boxWith(extra: readonly Process[], other: (line: string) => Answer = () => '') {
  const log: string[] = []
  const states = new Map([...OURS, ...extra].map(({pid, state = 'S'}) => [pid, state]))
  const tools = scriptedTools((line) => {
    if (line.includes('/status -exec'))
      return [...OURS, ...extra]
        .map(({kernel, name, parent = 0, pid}) => {
          const fields = [`Name:\t${name}`, `State:\t${states.get(pid)} (x)`, `PPid:\t${parent}`]
          return [...fields, ...(kernel ? [] : ['VmSize:\t9 kB'])]
            .map((field) => `/proc/${pid}/status:${field}\n`)
            .join('')
        })
        .join('')
    if (line.includes('echo "$!"')) return '70\n'
    if (line.includes('PPid:[^0-9]*')) return '99\n11\n10\n'
    const [, pids = ''] = /sh \/run\/dumont-frozen\/n\/pids ([\d ]+)$/.exec(line) ?? []
    for (const pid of pids.split(' ').map(Number)) states.set(pid, 'T')
    return other(line)
  }, log)
  const signals = () =>
    log.flatMap((line) => {
      if (line.endsWith('sh /run/dumont-frozen/n')) return ['thaw']
      return /sh (?:\/run\/dumont-frozen\/n\/pids |(?=TERM|KILL))([A-Z\d ]+)$/.exec(line)?.[1] ?? []
    })
  return {signals, tools}
}

describe('freezing', () => {
  test('leaves what keeps the box reachable alone, and the kernel', async () => {
    const {signals, tools} = boxWith([TRAINING, {name: 'bash', parent: 1, pid: 60, state: 'T'}])
    const frozen = await freeze(tools, {name: 'n'})
    expect(frozen.pids).toEqual([50])
    await frozen.thaw()
    expect(signals()).toEqual(['50', 'thaw'])
  })
  test('that fails lets everything go on', async () => {
    const fails = (line: string): Answer => (line === 'sync' ? {code: 1, stderr: 'I/O error'} : '')
    const {signals, tools} = boxWith([TRAINING], fails)
    await expect(freeze(tools, {name: 'n'})).rejects.toThrow(/I\/O error/)
    expect(signals()).toEqual(['50', 'thaw'])
  })
  test('gives up on what is not stopped, and lets everything go on', async () => {
    const {signals, tools} = boxWith([{...TRAINING, state: 'D'}])
    const stubborn = {
      ...tools,
      exec: async (argv: readonly string[], options?: object) =>
        argv.includes('/run/dumont-frozen/n/pids')
          ? {code: 0, stderr: '', stdout: new Uint8Array()}
          : tools.exec(argv, options),
    }
    await expect(freeze(stubborn, {name: 'n'})).rejects.toThrow(/cannot be frozen/)
    expect(signals()).toEqual(['thaw'])
  })
})

test('what keeps the box reachable is never ended', async () => {
  const {signals, tools} = boxWith([])
  const restless = [{name: 'sshd', pid: 10, why: 'writes'}] as const
  await expect(stopProcesses(tools, restless, systemClock)).rejects.toThrow(
    /keeps the box reachable/,
  )
  expect(signals()).toEqual([])
})

describe('who is not still', () => {
  const look = async (other: (line: string) => Answer) =>
    (await lookForWriters(boxWith([TRAINING], other).tools, ['/workspace'])).restless.map(
      ({pid, why}) => [pid, why],
    )
  const open =
    (flags: string, target = '/workspace/a') =>
    (line: string) => {
      if (line.includes('-lname')) return ''
      if (line.includes('/fd/[0-9]+')) return `/proc/50/fd/4\0${target}\0`
      return line.includes('^flags:') ? `/proc/50/fdinfo/4:flags:\t${flags}\n` : ''
    }
  test.each([
    ['for writing', '0100001', 1],
    ['for both', '02', 1],
    ['for reading', '0100000', 0],
  ])('is told by a file that is open %s', async (_how, flags, count) => {
    expect(await look(open(flags))).toHaveLength(count)
  })
  test('is not told by what lies elsewhere, but by a removed file', async () => {
    expect(await look(open('02', '/workspaces/a'))).toEqual([])
    expect(await look(open('02', '/workspace/a (deleted)'))).toEqual([[50, 'writes']])
  })
  test.each<[string, (line: string) => Answer]>([
    ['nvidia-smi', (line) => (line.startsWith('nvidia-smi') ? '50\n' : '')],
    [
      'the open device',
      (line) => (line.includes('/dev/nvidia-uvm') ? '/proc/50/fd/9\0/dev/nvidia-uvm\0' : ''),
    ],
  ])('is told by GPU memory, from %s', async (_source, other) => {
    expect(await look(other)).toEqual([[50, 'gpu']])
  })
  test('is whoever cannot be looked into', async () => {
    expect(await look((line) => (line.includes('ls "$dir/fd"') ? '50\n3\n' : ''))).toEqual([
      [50, 'unseen'],
    ])
  })
})
