import {describe, expect, test} from '@jest/globals'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {VastProvider} from '../../../src/lib/providers/vast-provider.js'
import {vastClient, withVast} from '../../support/vast/client.js'

const KEY = `ssh-ed25519 ${'A'.repeat(68)} me@here`

describe('the log channel (8)', () => {
  test('waits until the text is there, and sends no key to where it lies', () =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      fake.resultRefusals = [404, 403, 403]
      await expect(client.logs(String(id), 10)).resolves.toContain(`container ${id}`)
      expect(fake.requestsTo('logs')[0]?.body).toEqual({tail: '10'})
      expect(fake.requestsTo('result').map(({status}) => status)).toEqual([404, 403, 403, 200])
      expect(fake.violations).toEqual([])
    }))

  test('gives the last lines alone, without what looks like a secret', () =>
    withVast({}, async (fake, client) => {
      const {id, apiKey} = await fake.rent()
      const text = await client.logs(String(id), 1)
      expect(text).toBe('CONTAINER_API_KEY=…')
      expect(text).not.toContain(apiKey)
    }))

  test('shows no control characters', () =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      fake.faults.inject({
        endpoint: 'result',
        fault: {kind: 'reply', reply: {status: 200, body: `one\u001B[2J\ntwo ${fake.key}\n`}},
      })
      await expect(client.logs(String(id), 9)).resolves.toBe('one\\u{1b}[2J\ntwo …')
    }))

  test('a text that never comes is an error after a while', () =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      fake.resultRefusals = Array.from({length: 100}, () => 404)
      await expect(client.logs(String(id), 9)).rejects.toMatchObject({
        failure: 'TRANSPORT',
        status: 404,
      })
      expect(fake.requestsTo('result')).toHaveLength(40)
    }))

  test('a text without end is an error', () =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      const reply = {status: 200, body: 'x'.repeat(1024 * 1024 + 1)}
      fake.faults.inject({endpoint: 'result', fault: {kind: 'reply', reply}})
      await expect(client.logs(String(id), 9)).rejects.toMatchObject({failure: 'PROTOCOL'})
    }))

  test.each([
    undefined,
    7,
    'nowhere',
    'file:///etc/passwd',
    'http://192.0.2.1/x',
    'https://user:pass@example.test/x',
  ])('%p is no address to fetch from', (result_url) =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      fake.faults.inject({fault: {kind: 'edit', edit: () => ({success: true, result_url})}})
      await expect(client.logs(String(id), 9)).rejects.toMatchObject({failure: 'PROTOCOL'})
    }),
  )

  test('the real vendor cannot send the client to the loopback', () =>
    withVast({}, async (fake) => {
      const answers = [{success: true, result_url: `${fake.url}/results/x`}]
      const client = new VastProvider({
        key: fake.key,
        base: new URL('https://console.vast.ai/'),
        clock: fake.clock,
        fetch: async () => Response.json(answers.shift()),
      })
      await expect(client.logs('5', 9)).rejects.toMatchObject({failure: 'PROTOCOL'})
      expect(fake.requests).toEqual([])
    }))
})

describe('the execute channel (8)', () => {
  test('sees what lies on the box, without SSH', () =>
    withVast({}, async (fake, client) => {
      const folder = await mkdtemp(join(tmpdir(), 'dumont-execute-'))
      try {
        await writeFile(join(folder, 'nonce-0123456789abcdef0123456789abcdef'), '')
        const {id} = await fake.rent()
        await expect(client.execute(String(id), `ls ${folder}`)).resolves.toBe(
          'nonce-0123456789abcdef0123456789abcdef\n',
        )
      } finally {
        await rm(folder, {recursive: true})
      }
    }))

  test('a command that the vendor does not know is refused', () =>
    withVast({}, async (fake, client) => {
      const {id} = await fake.rent()
      await expect(client.execute(String(id), 'cat /etc/hostname')).rejects.toMatchObject({
        failure: 'INVALID',
        message: expect.stringContaining('Invalid command given.'),
      })
    }))

  test.each(['', `ls ${'x'.repeat(512)}`])('a command of the wrong length is not sent', (command) =>
    withVast({}, async (fake, client) => {
      await expect(client.execute('30000001', command)).rejects.toMatchObject({failure: 'INVALID'})
      expect(fake.requests).toEqual([])
    }),
  )
})

describe('keys on an instance (4)', () => {
  test('a key is attached; attaching it again is no error', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent()
      await client.attachKey(String(box.id), `${KEY}\n`)
      await client.attachKey(String(box.id), KEY)
      expect(box.publicKeys).toEqual([KEY])
      expect(fake.requests.map(({status}) => status)).toEqual([200, 400])
    }))

  test('attached, but the answer was lost: asking again finds it there', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent()
      fake.faults.inject({fault: {kind: 'reset', after: true}})
      await client.attachKey(String(box.id), KEY)
      expect(box.publicKeys).toEqual([KEY])
    }))

  test('another refusal is an error', () =>
    withVast({}, async (fake, client) => {
      const box = await fake.rent()
      const body = {success: false, error: 'invalid_args', msg: 'too many keys'}
      fake.faults.inject({fault: {kind: 'reply', reply: {status: 400, body}}})
      await expect(client.attachKey(String(box.id), KEY)).rejects.toMatchObject({
        failure: 'INVALID',
      })
    }))

  test.each([
    '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----',
    `${KEY}\n${KEY}`,
    'command="x" ssh-ed25519 AAAA',
    '',
  ])('what is no public key in one line never leaves', (text) =>
    withVast({}, async (fake) => {
      const attached = vastClient(fake).attachKey('30000001', text)
      await expect(attached).rejects.toMatchObject({failure: 'INVALID'})
      expect(fake.requests).toEqual([])
    }),
  )
})
