import {describe, expect, test} from '@jest/globals'
import type {CreateRequest} from '../../../src/lib/providers/provider.js'
import {LAMBDA_KEY, noCapacity, refused, TYPE} from '../../support/lambda/fake-lambda.js'
import {useLambda} from '../../support/lambda/use-lambda.js'
import {offerOf, specOf} from '../../support/offers.js'
import {BROKEN} from '../../support/vast/faults.js'

const KEY = 'ssh-ed25519 AAAAnew operator@desk'

describe('Lambda creates', () => {
  const desk = useLambda()
  const offer = offerOf({id: `${TYPE}@us-east-1`, machine: undefined})
  const request = (change: Partial<CreateRequest> = {}): CreateRequest => ({
    spec: specOf(),
    label: 'dumont-box-abc',
    publicKeys: [KEY],
    env: {},
    ...change,
  })
  const launches = () => desk.fake.server.to('create')

  test('the machine that was asked for, with a key it registers first', async () => {
    const {id} = await desk.lambda.create(offer, request())
    const name = desk.fake.keys.at(-1)?.['name']
    expect(name).toMatch(/^dumont-[0-9a-f]{12}$/)
    expect(desk.fake.instances.get(id)?.body).toEqual({
      region_name: 'us-east-1',
      instance_type_name: TYPE,
      ssh_key_names: [name],
      name: 'dumont-box-abc',
    })
    expect(await desk.lambda.list({label: 'dumont-box-abc'})).toMatchObject([
      {id, phase: 'starting'},
    ])
  })

  test('one that the vendor may not show at once', async () => {
    desk.fake.script = {hiddenMs: 8000}
    const {id} = await desk.lambda.create(offer, request())
    expect(await desk.lambda.get(id)).toMatchObject({phase: 'gone'})
    desk.clock.advance(8000)
    expect(await desk.lambda.get(id)).toMatchObject({phase: 'starting'})
  })

  test('one that never becomes well, and tells so', async () => {
    desk.fake.script = {ends: 'unhealthy'}
    const {id} = await desk.lambda.create(offer, request())
    desk.clock.advance(300_000)
    expect(await desk.lambda.get(id)).toMatchObject({phase: 'unreachable', hourly: 2.49})
  })

  test('with a key the account has already, whatever the comment', async () => {
    const publicKeys = ['ssh-ed25519 AAAAold somewhere else']
    const {id} = await desk.lambda.create(offer, request({publicKeys}))
    expect(desk.fake.instances.get(id)?.body['ssh_key_names']).toEqual(['laptop'])
    expect(desk.fake.keys).toHaveLength(1)
  })

  test('when another dumont registers the key at the same moment', async () => {
    desk.fake.server.faults.inject({
      endpoint: 'add-key',
      fault: {kind: 'reply', after: true, reply: refused(400, 'global/duplicate', 'exists')},
    })
    await desk.lambda.create(offer, request())
    expect(desk.fake.alive).toHaveLength(1)
  })

  test('more keys and a start script by cloud-init', async () => {
    const change = {publicKeys: [KEY, 'ssh-rsa BBBB two'], onstart: 'echo "a: b"\n'}
    const {id} = await desk.lambda.create(offer, request(change))
    const data = String(desk.fake.instances.get(id)?.body['user_data'])
    expect(data.split('\n')[0]).toBe('#cloud-config')
    expect(JSON.parse(data.split('\n')[1] ?? '')).toEqual({
      ssh_authorized_keys: ['ssh-rsa BBBB two'],
      runcmd: [['/bin/bash', '-c', 'echo "a: b"\n']],
    })
  })

  test.each([
    ['another vendor’s offer', {id: '12345'}, {}],
    ['an offer that is a path', {id: `${TYPE}@../x`}, {}],
    ['no key', {}, {publicKeys: []}],
    ['environment values', {}, {env: {TOKEN: 'x'}}],
    ['a name that is too long', {}, {label: 'x'.repeat(65)}],
  ])('nothing with %s, and asks nobody', async (_, other, change) => {
    await expect(desk.lambda.create({...offer, ...other}, request(change))).rejects.toMatchObject({
      failure: 'INVALID',
    })
    expect(desk.fake.server.requests).toEqual([])
  })

  test.each([
    ['insufficient capacity', noCapacity(), 'CAPACITY'],
    ['a quota', refused(400, 'global/quota-exceeded', 'Quota exceeded.'), 'QUOTA'],
    ['an account without means', refused(403, 'global/account-inactive', 'Inactive.'), 'CREDIT'],
    ['a wrong parameter', refused(400, 'global/invalid-parameters', 'Invalid.'), 'INVALID'],
    ['a code it does not know', refused(400, 'global/new-code', 'New.'), 'INVALID'],
    ['a key without rights', refused(403, 'global/forbidden', 'No.'), 'SCOPE'],
  ])('nothing when told of %s, and does not ask twice', async (_, reply, failure) => {
    desk.fake.refusal = reply
    await expect(desk.lambda.create(offer, request())).rejects.toMatchObject({failure})
    expect(launches()).toHaveLength(1)
    expect(desk.fake.alive).toEqual([])
  })

  test('nothing where the room that was told of is gone', async () => {
    const elsewhere = {...offer, id: `${TYPE}@us-south-1`}
    await expect(desk.lambda.create(elsewhere, request())).rejects.toMatchObject({
      failure: 'CAPACITY',
    })
  })

  test.each([
    ['the answer is lost', {kind: 'reset', after: true}],
    ['the request is lost', {kind: 'reset'}],
    ['nothing is answered', {kind: 'stall', after: true}],
    ['a gateway breaks down', {kind: 'reply', after: true, reply: BROKEN.gateway}],
    ['the answer is cut', {kind: 'truncate'}],
    ['no id is told', {kind: 'edit', edit: () => ({data: {instance_ids: []}})}],
    ['two ids are told', {kind: 'edit', edit: () => ({data: {instance_ids: ['aaaa', 'bbbb']}})}],
    ['it is sent elsewhere', {kind: 'reply', reply: BROKEN.moved}],
  ] as const)('at most one when %s, and says that it does not know', async (_, fault) => {
    desk.fake.server.faults.inject({endpoint: 'create', fault})
    await expect(desk.open(LAMBDA_KEY, 300).create(offer, request())).rejects.toMatchObject({
      failure: 'AMBIGUOUS',
    })
    expect(launches()).toHaveLength(1)
    const left = await desk.lambda.list({label: 'dumont-box-abc'})
    expect(left.map(({id}) => id)).toEqual(desk.fake.alive.map(({id}) => id))
  })

  test('each twelve seconds at most, also side by side', async () => {
    await Promise.all([1, 2, 3].map((n) => desk.lambda.create(offer, request({label: `box-${n}`}))))
    const times = launches().map(({at}) => at)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(12_000)
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(12_000)
    expect(desk.fake.hasty).toBe(0)
    expect(desk.fake.alive).toHaveLength(3)
  })

  test('again after a refusal that only asked to wait', async () => {
    const reply = {status: 429, body: 'Too Many Requests'}
    desk.fake.server.faults.inject({endpoint: 'create', fault: {kind: 'reply', reply}})
    await desk.lambda.create(offer, request())
    expect(launches()).toHaveLength(2)
    expect(desk.fake.alive).toHaveLength(1)
  })
})
