import type {FakeVast} from './fake-vast.js'
import type {FakeInstance} from './instance.js'
import {listPage} from './listing.js'
import {searchOffers} from './offers.js'
import {orderProblem} from './order.js'
import {type Arrival, type Fields, isFields, ok, refusal, type Reply} from './reply.js'

export type Scope = 'instance_read' | 'instance_write' | 'misc' | 'user_read'

type Handler = (fake: FakeVast, arrival: Arrival, id: number) => Promise<Reply> | Reply

interface Route {
  readonly method: string
  readonly path: RegExp
  readonly endpoint: string
  readonly scope: Scope | 'none'
  readonly handle: Handler
}

const ROUTES: readonly Route[] = [
  route('GET /api/v0/users/current/', 'whoami', 'user_read', (fake) => ok(fake.account)),
  route('POST /api/v0/bundles/', 'search', 'misc', (fake, {body}) =>
    searchOffers(fake.offers, body),
  ),
  route('PUT /api/v0/asks/#/', 'create', 'instance_write', create),
  route('GET /api/v1/instances/', 'list', 'instance_read', list),
  route('GET /api/v0/instances/#/', 'show', 'instance_read', show),
  route('PUT /api/v0/instances/#/', 'manage', 'instance_write', manage),
  route('DELETE /api/v0/instances/#/', 'destroy', 'instance_write', destroy),
  route('POST /api/v0/instances/#/ssh/', 'attach', 'instance_write', attach),
  route('GET /api/v0/instances/#/ssh/', 'keys', 'instance_read', keys),
  route('PUT /api/v0/instances/request_logs/#/', 'logs', 'instance_read', logs),
  route('PUT /api/v0/instances/command/#/', 'execute', 'instance_write', execute),
  route('GET /results/*', 'result', 'none', result),
]

export function findRoute(arrival: Arrival) {
  for (const {endpoint, handle, method, path, scope} of ROUTES) {
    const match = arrival.method === method ? path.exec(arrival.path) : null
    if (match)
      return {
        endpoint,
        scope,
        run: (fake: FakeVast, now: Arrival) => handle(fake, now, Number(match[1] ?? 0)),
      }
  }
  return undefined
}

/** `#` is an id, `*` anything. */
function route(words: string, endpoint: string, scope: Route['scope'], handle: Handler): Route {
  const [method = '', path = ''] = words.split(' ')
  const pattern = path.replace('#', '([1-9]\\d{0,14})').replace('*', '\\w+')
  return {method, path: new RegExp(`^${pattern}$`, 'u'), endpoint, scope, handle}
}

async function create(fake: FakeVast, {body}: Arrival, ask: number): Promise<Reply> {
  fake.beforeCreate?.(ask)
  const problem = orderProblem(body)
  if (problem) return refusal(400, 'invalid_args', problem)
  const order = body as Fields
  if (fake.account.credit <= 0) return refusal(400, 'insufficient_credit', 'Insufficient credits')
  const offer = fake.offers.find(({id}) => id === ask)
  if (!offer || offer['rentable'] !== true)
    return refusal(410, 'no_such_ask', 'no longer available')
  const instance = await fake.create(offer, order)
  const {price} = order
  if (typeof price === 'number' && price < Number(offer['min_bid'])) {
    instance.stop()
    const {body: said} = refusal(400, 'invalid_price', 'Your bid is too low')
    return {status: 400, body: {...(said as Fields), new_contract: instance.id}}
  }
  fake.offers = fake.offers.map((one) =>
    one === offer ? {...one, rentable: false, rented: true} : one,
  )
  return ok({success: true, new_contract: instance.id, instance_api_key: instance.apiKey})
}

/** One read of an instance: there, or in one of the ways of not being there. */
function look(instance: FakeInstance | undefined): Fields | '404' | 'null' {
  if (!instance) return 'null'
  const {hiddenAs = 'null', hiddenReads = 0, lingeringReads = 0} = instance.life
  if (instance.destroyedAt !== undefined) {
    if (lingeringReads === 0) return 'null'
    instance.life = {...instance.life, lingeringReads: lingeringReads - 1}
    return instance.record()
  }
  if (hiddenReads === 0) return instance.record()
  instance.life = {...instance.life, hiddenReads: hiddenReads - 1}
  return hiddenAs
}

function list(fake: FakeVast, {query}: Arrival): Reply {
  const records = [...fake.instances.values()].map(look).filter((record) => isFields(record))
  return listPage(records, query)
}

function show(fake: FakeVast, _: Arrival, id: number): Reply {
  const record = look(fake.instances.get(id))
  if (record === '404') return gone()
  return ok({instances: record === 'null' ? null : record})
}

function gone(error = 'no_such_instance'): Reply {
  return refusal(404, error, `Instance not found`)
}

function living(fake: FakeVast, id: number): FakeInstance | undefined {
  const instance = fake.instances.get(id)
  return instance?.destroyedAt === undefined ? instance : undefined
}

async function manage(fake: FakeVast, {body}: Arrival, id: number): Promise<Reply> {
  const instance = living(fake, id)
  if (!instance) return gone()
  const state = isFields(body) && Object.keys(body).length === 1 ? body['state'] : undefined
  if (state === 'running') await instance.start()
  else if (state === 'stopped') instance.stop()
  else return refusal(400, 'invalid_args', 'state is running or stopped')
  return ok({success: true})
}

async function destroy(fake: FakeVast, {body}: Arrival, id: number): Promise<Reply> {
  const instance = living(fake, id)
  if (!instance) return gone(id % 2 === 0 ? 'not_found' : 'no_such_instance')
  if (!isFields(body)) return refusal(400, 'invalid_args', 'a JSON object')
  await fake.destroy(instance)
  return ok({success: true})
}

async function attach(fake: FakeVast, {body}: Arrival, id: number): Promise<Reply> {
  const instance = living(fake, id)
  if (!instance) return gone()
  const key = isFields(body) ? body['ssh_key'] : undefined
  if (typeof key !== 'string' || !/^\S+ \S+[^\n]*$/u.test(key))
    return refusal(400, 'invalid_args', 'ssh_key: one line')
  if (instance.publicKeys.includes(key))
    return refusal(400, 'invalid_args', 'Duplicate: this key is already associated')
  await instance.attach(key)
  return ok({success: true, msg: 'SSH key added'})
}

/** The list of keys is a string of JSON inside the JSON. */
function keys(fake: FakeVast, _: Arrival, id: number): Reply {
  const instance = living(fake, id)
  if (!instance) return gone()
  return ok({success: true, ssh_keys: JSON.stringify(instance.publicKeys.map((key) => ({key})))})
}

function logs(fake: FakeVast, {body}: Arrival, id: number): Reply {
  const instance = living(fake, id)
  if (!instance) return gone()
  if (!isFields(body) || Object.values(body).some((value) => typeof value !== 'string'))
    return refusal(400, 'invalid_args', 'strings only')
  const text = instance.box?.log?.() ?? `container ${id}\nCONTAINER_API_KEY=${instance.apiKey}\n`
  const url = fake.publish(text)
  return ok({success: true, result_url: url, msg: 'requested'})
}

async function execute(fake: FakeVast, {body}: Arrival, id: number): Promise<Reply> {
  const instance = living(fake, id)
  if (!instance) return gone()
  const command = isFields(body) ? body['command'] : undefined
  if (typeof command !== 'string' || command.length > 512)
    return refusal(400, 'invalid_args', 'command: at most 512 letters')
  if (!/^(?:ls|du)(?: |$)/u.test(command))
    return refusal(400, 'invalid_args', 'Invalid command given.')
  const url = fake.publish(await fake.command(instance, command))
  return ok({success: true, writeable_path: '', result_url: url, msg: 'requested'})
}

/** As an object store: not there for a while, refusing now and then. */
function result(fake: FakeVast, {path}: Arrival): Reply {
  const found = fake.results.get(path.replace('/results/', ''))
  const refused = found && fake.resultRefusals[found.refusals++]
  if (!found || refused !== undefined)
    return {status: refused ?? 404, body: '<Error><Code>NoSuchKey</Code></Error>'}
  return {status: 200, body: found.text}
}
