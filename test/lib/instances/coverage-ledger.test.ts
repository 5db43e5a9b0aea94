import {describe, expect, test} from '@jest/globals'
import {CoverageLedger} from '../../../src/lib/instances/coverage-ledger.js'
import {noiseReason} from '../../../src/lib/instances/known-noise.js'
import {PlaceTally} from '../../../src/lib/instances/place-tally.js'

describe('known noise', () => {
  test.each([
    '/tmp/x',
    '/var/run/a',
    '/run/a/b',
    '/var/log/apt/term.log',
    '/var/lib/dpkg/status',
    '/opt/env/lib/__pycache__/a.cpython-311.pyc',
    '/etc/hosts',
    '/etc/ssh/sshd_config',
    '/root/.ssh/authorized_keys',
    '/home/user/.bash_history',
    '/root/.cache/pip/http-v2/a',
    '/root/.cache/dumont/journal/x',
  ])('holds %s', (place) => {
    expect(noiseReason(place)).toEqual(expect.any(String))
  })
  test.each([
    '/tmpx/a',
    '/var/tmp/a',
    '/root/.cache/huggingface/hub/model',
    '/root/.ssh/id_ed25519',
    '/home/user/work/.bash_history',
    '/opt/__pycache__/model.bin',
    '/data/tmp/x',
    '/etc/hosts.d/x',
    '/root/onstart.sh.d/x',
    '/usr/local/lib/python3.11/site-packages/a.py',
    '/var/lib/docker/overlay2/x',
    '/data/home/root/.cache/pip/x',
  ])('does not hold %s', (place) => {
    expect(noiseReason(place)).toBeUndefined()
  })
})

describe('the ledger', () => {
  test('excuses only what packages may have brought and what is vouched for', () => {
    const ledger = new CoverageLedger([])
    for (const place of ['/usr/bin/a', '/usr/bin/b', '/root/c']) ledger.take(place, 10)
    expect([...ledger.doubtful]).toEqual(['/usr/bin/a', '/usr/bin/b'])
    ledger.excuse(new Set(['/usr/bin/a', '/root/c', '/never']), 'why')
    expect(ledger.missing).toMatchObject({bytes: 20, files: 2})
    expect(ledger.allowed()).toEqual([{bytes: 10, files: 1, path: '/usr/bin', reason: 'why'}])
  })
  test('tells what was given up before what is noise, and refuses the rest', () => {
    const ledger = new CoverageLedger(['/tmp/big/', '/opt/a'])
    for (const place of ['/tmp/big/x', '/tmp/y', '/opt/a/b', '/opt/ab', '/x'])
      ledger.take(place, 10)
    expect(ledger.missing).toMatchObject({bytes: 20, files: 2})
    expect(ledger.missing.paths()).toEqual([
      {bytes: 10, files: 1, path: '/'},
      {bytes: 10, files: 1, path: '/opt/'},
    ])
    expect(ledger.allowed()).toEqual(
      expect.arrayContaining([
        {bytes: 10, files: 1, path: '/tmp/big', reason: 'given up with --discard'},
        {bytes: 10, files: 1, path: '/opt/a', reason: 'given up with --discard'},
        {bytes: 10, files: 1, path: '/tmp/y', reason: 'temporary files'},
      ]),
    )
  })
  test.each(['/', '', 'opt', '//', '/opt/..', '/opt/../', '/opt//a', '/./a'])(
    'does not take %j for a path to give up',
    (place) => {
      expect(() => new CoverageLedger([place])).toThrow(/no plain absolute path/)
    },
  )
  test.each(['/opt', '/opt/', '/opt/..a', '/opt/.hidden'])('takes %j', (place) => {
    expect(() => new CoverageLedger([place])).not.toThrow()
  })
  test('shows no control character of the box', () => {
    const ledger = new CoverageLedger([])
    ledger.take('/a\u001B[2J/b', 1)
    expect(ledger.missing.paths()[0]?.path).toBe(String.raw`/a\u{1b}[2J/`)
  })
})

test('a tally of a hundred thousand directories stays small and loses nothing of the sums', () => {
  const tally = new PlaceTally()
  for (let n = 0; n < 100_000; n += 1) tally.add(`/data/${n % 7}/${n}/deep/er/file`, 3)
  expect(tally).toMatchObject({bytes: 300_000, files: 100_000})
  const paths = tally.paths(5000)
  expect(paths.length).toBeLessThanOrEqual(5000)
  expect(paths.reduce((sum, {files}) => sum + files, 0)).toBe(100_000)
})
