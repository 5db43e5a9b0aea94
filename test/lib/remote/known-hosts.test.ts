import {createHmac} from 'node:crypto'
import {chmod, mkdtemp, readFile, stat, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {describe, expect, test} from '@jest/globals'

import {addKnownHost, readKnownHosts} from '../../../src/lib/remote/known-hosts-file.js'
import {
  checkHostKey,
  fingerprint,
  keyTypeOf,
  knownKeyTypes,
  parseKnownHosts,
} from '../../../src/lib/remote/known-hosts.js'

const KEY = blob('ssh-ed25519', 'a')
const OTHER = blob('ssh-ed25519', 'b')
const RSA = blob('ssh-rsa', 'c')

describe('a key is known', () => {
  test.each([
    ['by a plain name', 'gpu1', 'gpu1'],
    ['whatever the case of the name', 'GPU1', 'gpu1'],
    ['by one name of a list', 'gpu0,gpu1,10.0.0.1', 'gpu1'],
    ['by host and port', '[gpu1]:2222', '[gpu1]:2222'],
    ['by an IPv6 address and port', '[2001:db8::1]:2222', '[2001:db8::1]:2222'],
    ['by a wildcard', '*.example.com', 'a.example.com'],
    ['by a question mark', 'gpu?', 'gpu1'],
    ['by a hashed name', hashed('gpu1'), 'gpu1'],
    ['by a hashed host and port', hashed('[gpu1]:2222'), '[gpu1]:2222'],
    ['by the bare name away from port 22', 'gpu1', '[gpu1]:2222'],
  ])('%s', (_title, hosts, name) => {
    expect(checkHostKey(entries(`${hosts} ${line(KEY)}`), name, KEY).kind).toBe('known')
  })

  test('when one of several lines of the same type has it', () => {
    expect(checkHostKey(entries(`gpu1 ${line(OTHER)}\ngpu1 ${line(KEY)}`), 'gpu1', KEY).kind).toBe(
      'known',
    )
  })
})

describe('a key is unknown', () => {
  test.each([
    ['when no line names the host', 'gpu2'],
    ['when a negated pattern takes the host out', '!gpu1,gpu*'],
    ['when only part of the name fits', 'gpu'],
    ['when the hash is of another name', hashed('gpu2')],
    ['when the hash has an unknown version', hashed('gpu1').replace('|1|', '|2|')],
    ['when the line is for another port', '[gpu1]:2222'],
  ])('%s', (_title, hosts) => {
    expect(checkHostKey(entries(`${hosts} ${line(KEY)}`), 'gpu1', KEY)).toEqual({
      authority: false,
      kind: 'unknown',
    })
  })

  test('when the bare name has another key: another port may be another machine', () => {
    expect(checkHostKey(entries(`gpu1 ${line(OTHER)}`), '[gpu1]:2222', KEY).kind).toBe('unknown')
  })

  test('and it is said when only a certificate authority vouches for the host', () => {
    const verdict = checkHostKey(
      entries(`@cert-authority *.example.com ${line(OTHER)}`),
      'a.example.com',
      KEY,
    )
    expect(verdict).toEqual({authority: true, kind: 'unknown'})
  })

  test.each([
    'gpu1',
    'gpu1 ssh-ed25519',
    `gpu1 ssh-rsa ${KEY.toString('base64')}`,
    '# gpu1',
    `@what gpu1 ${line(KEY)}`,
  ])('when the line is malformed: %s', (text) =>
    expect(checkHostKey(entries(text), 'gpu1', KEY).kind).toBe('unknown'),
  )
})

describe('a key is refused', () => {
  test('when the host is known by another key, naming file and line', () => {
    const verdict = checkHostKey(entries(`# mine\ngpu1 ${line(OTHER)}`), 'gpu1', KEY)
    expect(verdict).toMatchObject({entry: {file: 'known_hosts', line: 2}, kind: 'changed'})
  })

  test('when the host is known by a key of another type only', () => {
    expect(checkHostKey(entries(`gpu1 ${line(RSA)}`), 'gpu1', KEY).kind).toBe('changed')
  })

  test('when it is revoked, even if another line knows it', () => {
    const verdict = checkHostKey(entries(`gpu1 ${line(KEY)}\n@revoked * ${line(KEY)}`), 'gpu1', KEY)
    expect(verdict.kind).toBe('revoked')
  })

  test('when it is revoked under the bare name', () => {
    expect(checkHostKey(entries(`@revoked gpu1 ${line(KEY)}`), '[gpu1]:2222', KEY).kind).toBe(
      'revoked',
    )
  })
})

test('the types on file are asked for first', () => {
  const known = entries(`gpu1 ${line(RSA)}\n[gpu1]:2222 ${line(KEY)}\n@revoked gpu1 ${line(OTHER)}`)
  expect(knownKeyTypes(known, '[gpu1]:2222')).toEqual(['ssh-ed25519', 'ssh-rsa'])
})

test('a hostile pattern is matched in linear time', () => {
  expect(
    checkHostKey(entries(`${'*a'.repeat(200)}b ${line(KEY)}`), 'a'.repeat(255), KEY).kind,
  ).toBe('unknown')
})

test('the fingerprint is the one OpenSSH prints', () => {
  expect(fingerprint(Buffer.from('x'))).toBe('SHA256:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE')
})

describe('the files', () => {
  test('are read together, and one that is absent holds nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'known-'))
    const file = join(directory, 'known_hosts')
    await writeFile(file, `gpu1 ${line(KEY)}\n`)
    expect(await readKnownHosts([join(directory, 'absent'), file])).toHaveLength(1)
  })

  test('refuse when one cannot be read', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'known-'))
    await expect(readKnownHosts([directory])).rejects.toMatchObject({code: 'HOST_KEY_UNKNOWN'})
  })

  test('are created for their owner alone when a key is added', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'known-')), '.ssh', 'known_hosts')
    await addKnownHost(file, '[gpu1]:2222', KEY)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(checkHostKey(await readKnownHosts([file]), '[gpu1]:2222', KEY).kind).toBe('known')
  })

  test('keep a last line that has no newline', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'known-')), 'known_hosts')
    await writeFile(file, `gpu1 ${line(KEY)}`)
    await chmod(file, 0o600)
    await addKnownHost(file, 'gpu2', OTHER)
    expect(await readFile(file, 'utf8')).toBe(`gpu1 ${line(KEY)}\ngpu2 ${line(OTHER)}\n`)
  })
})

function entries(text: string) {
  return parseKnownHosts(text, 'known_hosts')
}

function line(key: Buffer): string {
  return `${keyTypeOf(key)} ${key.toString('base64')}`
}

function blob(type: string, content: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(type.length)
  return Buffer.concat([length, Buffer.from(type), Buffer.from(content)])
}

function hashed(name: string): string {
  const salt = Buffer.from('01234567890123456789')
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}
