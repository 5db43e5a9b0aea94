import {describe, expect, test} from '@jest/globals'
import {openBoxTools} from '../../../src/lib/instances/box-tools.js'
import {instanceBirth} from '../../../src/lib/instances/instance-birth.js'
import {parseMounts} from '../../../src/lib/instances/mount-fates.js'
import {toolRecords} from '../../../src/lib/instances/tool-records.js'
import {scriptedSession, scriptedTools, type Answer} from './scripted-box.js'

describe('the tools of a box', () => {
  test.each([
    ['busybox', '0\nmissing GNU find (findutils)\n', /GNU find/],
    ['an image without xargs', '0\nmissing xargs\n', /missing xargs/],
    ['a login that may not become root', '1000\n', /neither root/],
    ['noise', 'Welcome!\n', /does not answer/],
  ])('are refused for %s', async (_what, stdout, message) => {
    await expect(openBoxTools(scriptedSession(() => stdout))).rejects.toThrow(message)
  })
  test("are run as root, without the login's environment", async () => {
    const log: string[] = []
    const tools = await openBoxTools(scriptedSession(() => '1000\nsudo\n', log))
    await tools.exec(['find', '/x'])
    expect(log.at(-1)).toMatch(/^sudo -n env -i LC_ALL=C PATH=\S+ find \/x$/)
  })
})

describe('records of a tool', () => {
  const read = async (answer: Answer) => {
    const records: string[] = []
    for await (const fields of toolRecords(
      scriptedTools(() => answer),
      ['find'],
      {width: 2},
    ))
      records.push(fields.map(String).join('='))
    return records
  }
  test('come field by field', async () => {
    expect(await read('a\0b\nc\0\0d\0')).toEqual(['a=b\nc', '=d'])
  })
  test.each<[string, Answer, RegExp]>([
    ['half a record', 'a\0', /cut short/],
    ['half a field', 'a\0b\0c', /cut short/],
    ['a failure', {code: 1, stderr: 'Permission denied'}, /ended with 1: Permission denied/],
    ['a field without end', 'x'.repeat(300_000), /without end/],
  ])('are no census with %s', async (_what, answer, message) => {
    await expect(read(answer)).rejects.toThrow(message)
  })
})

describe('the birth of an instance', () => {
  const NOW = 1_795_000_000
  const MOUNTS = '1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /etc/hosts rw - ext4 /dev/a rw\n'
  const birth = (
    stat: string,
    {clock = NOW, mounts = MOUNTS, started = 100, createdAt = undefined as number | undefined} = {},
  ) => {
    const tools = scriptedTools((line) => {
      if (line.startsWith('date')) return `${clock}\n`
      if (line.startsWith('stat')) return {code: 1, stdout: stat}
      return `1 (init) S ${Array.from({length: 18}, () => '0').join(' ')} ${started} 0\n1000.00 900.00\n`
    })
    return instanceBirth(tools, {
      createdAt,
      mounts: parseMounts(Buffer.from(mounts)),
      now: NOW * 1000,
    })
  }
  test('is the oldest of all signs', async () => {
    expect(
      await birth(`0 ${NOW - 50} ${NOW - 40}\n${NOW - 70} ${NOW - 5} ${NOW - 5}\n`, {
        started: 99_000,
      }),
    ).toEqual({
      contained: true,
      evidence: 'files of the container engine',
      since: NOW - 72,
    })
  })
  test('is never younger than the first process', async () => {
    expect(await birth(`? ${NOW - 5} ${NOW - 5}\n`, {started: 90_000})).toMatchObject({
      since: NOW - 102,
    })
  })
  test('of a container without signs is unknown, so that every file counts', async () => {
    expect(await birth('', {createdAt: NOW * 1000})).toMatchObject({contained: true, since: 0})
  })
  test('of a machine of its own is what the vendor says, with an hour to spare', async () => {
    const mounts = '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n'
    expect(await birth('', {createdAt: NOW * 1000, mounts})).toMatchObject({
      contained: false,
      since: NOW - 3600,
    })
    expect(await birth('', {mounts})).toMatchObject({since: 0})
  })
  test.each([NOW + 700, NOW - 700])('cannot be told by a clock that shows %i', async (clock) => {
    await expect(birth('', {clock})).rejects.toMatchObject({code: 'CLOCK_SKEW'})
  })
  test('is not in the future', async () => {
    await expect(birth(`0 ${NOW + 99} ${NOW + 99}\n`)).rejects.toThrow(/future/)
  })
})
