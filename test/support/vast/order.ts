import {isFields} from './reply.js'

type Check = (value: unknown) => boolean

const text =
  (most: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= most
const flag: Check = (value) => typeof value === 'boolean'

const FIELDS: Readonly<Record<string, Check>> = {
  client_id: (value) => value === 'me',
  image: text(1024),
  template_hash_id: text(64),
  env: (value) =>
    isFields(value) &&
    Object.values(value).every((one) => typeof one === 'string' && one.length <= 256),
  disk: (value) => typeof value === 'number' && value >= 8,
  label: text(256),
  runtype: (value) => typeof value === 'string' && RUNTYPES.has(value),
  onstart: text(4096),
  price: (value) => typeof value === 'number' && value >= 0.001 && value <= 128,
  cancel_unavail: flag,
  target_state: (value) => value === 'running' || value === 'stopped',
}
const RUNTYPES = new Set([
  'args',
  'jupyter',
  'jupyter_direct',
  'jupyter_proxy',
  'ssh',
  'ssh_direct',
  'ssh_proxy',
])

/** What the vendor would refuse about the body of a create; undefined when nothing. */
export function orderProblem(body: unknown): string | undefined {
  if (!isFields(body)) return 'a JSON object'
  for (const [name, value] of Object.entries(body))
    if (FIELDS[name]?.(value) !== true) return `${name}: ${JSON.stringify(value)}`
  if (body['client_id'] === undefined) return 'client_id is missing'
  if (body['disk'] === undefined && body['template_hash_id'] === undefined) return 'disk is missing'
  if (body['image'] === undefined && body['template_hash_id'] === undefined)
    return 'image is missing'
  return undefined
}
