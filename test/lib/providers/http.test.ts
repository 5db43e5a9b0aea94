import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {
  type HttpCall,
  type HttpOptions,
  redact,
  sendRequest,
} from '../../../src/lib/providers/http.js'
import {FakeVendor} from '../../support/fake-vendor.js'
import {ManualClock} from '../../support/manual-clock.js'
import type {Reply} from '../../support/vast/reply.js'

describe('one request to a vendor', () => {
  let server: FakeVendor
  let reply: Reply

  beforeEach(async () => {
    reply = {status: 200, body: {fine: true}}
    server = new FakeVendor(new ManualClock(), () => ({endpoint: 'any', work: () => reply}))
    await server.listen()
  })
  afterEach(() => server.close())

  const send = (call: Partial<HttpCall> = {}, options: HttpOptions = {}, signal?: AbortSignal) =>
    sendRequest(
      {
        provider: 'vendor',
        operation: 'ask',
        method: 'GET',
        url: server.base,
        secrets: ['s3cret'],
        ...call,
      },
      {timeoutMs: 5000, ...options},
      signal,
    )

  test('tells status, headers, text and JSON, whatever the status', async () => {
    reply = {status: 418, body: {tea: 1}, headers: {'retry-after': '3'}}
    const answer = await send()
    expect(answer).toMatchObject({status: 418, text: '{"tea":1}', json: {tea: 1}})
    expect(answer.headers.get('retry-after')).toBe('3')
  })

  test('tells no JSON where there is none', async () => {
    reply = {status: 200, body: '<html>'}
    expect((await send()).json).toBeUndefined()
  })

  test('sends JSON, and headers of its own', async () => {
    await send({method: 'POST', body: {a: 'é'}, headers: {authorization: 'Bearer s3cret'}})
    expect(server.requests[0]).toMatchObject({
      method: 'POST',
      body: {a: 'é'},
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer s3cret',
        'user-agent': 'dumont',
      },
    })
  })

  test('is not carried on by a redirect', async () => {
    reply = {status: 308, body: '', headers: {location: server.base.href}}
    expect(await send()).toMatchObject({status: 308})
    expect(server.requests).toHaveLength(1)
  })

  test.each([
    [false, 'PROTOCOL'],
    [true, 'AMBIGUOUS'],
  ])('reads no more than the bound (once: %s)', async (once, failure) => {
    reply = {status: 200, body: 'x'.repeat(3_000_000)}
    await expect(send({once}, {maxBytes: 100_000})).rejects.toMatchObject({failure})
  })

  test.each([
    ['reset', false, 'TRANSPORT'],
    ['reset', true, 'AMBIGUOUS'],
    ['stall', false, 'TRANSPORT'],
    ['stall', true, 'AMBIGUOUS'],
  ] as const)('that ends in a %s (once: %s) is %s', async (kind, once, failure) => {
    server.faults.inject({fault: {kind}})
    await expect(send({once}, {timeoutMs: 200})).rejects.toMatchObject({
      name: 'ProviderError',
      failure,
      provider: 'vendor',
      operation: 'ask',
      message: expect.stringMatching(
        /^vendor: ask: (?:ECONNRESET|UND_ERR_SOCKET|other side closed|no answer within 0.2 s)/,
      ),
    })
  })

  test('that reached nobody did not happen, whatever it was for', async () => {
    const url = new URL(server.base)
    await server.close()
    await expect(send({url, once: true})).rejects.toMatchObject({
      failure: 'TRANSPORT',
      message: 'vendor: ask: ECONNREFUSED',
    })
    await server.listen()
  })

  test('stops when interrupted, before or on the way', async () => {
    const reason = new Error('stop')
    await expect(send({}, {}, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    server.faults.inject({fault: {kind: 'stall'}, when: () => (controller.abort(reason), true)})
    await expect(send({}, {}, controller.signal)).rejects.toBe(reason)
  })
})

describe('words of a vendor', () => {
  test.each([
    ['the key is s3cret-key.', 'the key is ….'],
    ['Authorization: Bearer abcdefghij', 'Authorization: … …'],
    ['got bearer abcdefghij1', 'got bearer …'],
    ['?api_key=abc&x=1', '?api_key=…&x=1'],
    ['{"instance_api_key":"abc","id":7}', '{"instance_api_key":"…","id":7}'],
    ["password: 'abc'", "password: '…'"],
    ['X-Amz-Signature=abc', 'X-Amz-Signature=…'],
    ['nothing to hide', 'nothing to hide'],
    ['a\u001B[2Jb\nc', 'a\\u{1b}[2Jb\\u{a}c'],
  ])('%j are told as %j', (text, told) => {
    expect(redact(text, ['s3cret-key', ''])).toBe(told)
  })

  test('are cut', () => {
    expect(redact('x'.repeat(500), [], 10)).toBe(`${'x'.repeat(10)}…`)
  })

  test('do not show half of a secret at the cut', () => {
    expect(redact(`${'x'.repeat(8)}s3cret-key`, ['s3cret-key'], 12)).not.toContain('s3')
  })
})
