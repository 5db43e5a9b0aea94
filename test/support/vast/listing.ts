import {type Fields, isFields, ok, refusal, type Reply} from './reply.js'

const MOST = 25
const PARAMETERS = new Set(['after_token', 'limit', 'order_by', 'select_cols', 'select_filters'])
const STORED = new Set(['actual_status', 'gpu_name', 'id', 'label', 'machine_id', 'verification'])

/** The paged list: strict about its parameters, and about columns that are computed rather than stored. */
export function listPage(records: readonly Fields[], query: URLSearchParams): Reply {
  const unknown = [...query.keys()].find((name) => !PARAMETERS.has(name))
  if (unknown !== undefined) return invalid(`unknown parameter ${unknown}`)
  const limit = Number(query.get('limit') ?? MOST)
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST) return invalid('limit: 1 to 25')
  const filters = json(query.get('select_filters') ?? '{}')
  if (!isFields(filters)) return invalid('select_filters: a JSON object')
  const computed = Object.keys(filters).find((name) => !STORED.has(name))
  if (computed !== undefined) return invalid(`select_filters: ${computed} is not a column`)
  if (Object.values(filters).some((filter) => !isFields(filter)))
    return invalid('select_filters: Input should be a valid dictionary')
  if (!isOrder(json(query.get('order_by') ?? '[]')))
    return invalid('order_by: a list of {col, dir}')
  const after = afterToken(query.get('after_token'))
  if (after === undefined) return invalid('after_token: bad token')

  const found = records.filter((record) =>
    Object.entries(filters).every(([name, filter]) => record[name] === (filter as Fields)['eq']),
  )
  const rest = found.filter(({id}) => Number(id) > after)
  const page = rest.slice(0, limit)
  return ok({
    success: true,
    instances_found: page.length,
    total_instances: found.length,
    label_counts: {},
    next_token: rest.length > limit ? token(Number(page.at(-1)?.['id'])) : null,
    instances: page,
  })
}

function invalid(msg: string): Reply {
  return refusal(400, 'invalid_request', msg)
}

function token(id: number): string {
  return Buffer.from(JSON.stringify({id})).toString('base64url')
}

function afterToken(text: string | null): number | undefined {
  if (text === null) return 0
  const value = json(Buffer.from(text, 'base64url').toString('utf8'))
  return isFields(value) && typeof value['id'] === 'number' ? value['id'] : undefined
}

function isOrder(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (one) => isFields(one) && typeof one['col'] === 'string' && typeof one['dir'] === 'string',
    )
  )
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
