/** What the server answers: JSON unless the body is text. */
export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export function ok(body: object): Reply {
  return {status: 200, body}
}

export function refusal(status: number, error: string, msg = error): Reply {
  return {status, body: {success: false, error, msg}}
}

/** One request as it arrived. */
export interface Arrival {
  /** Virtual milliseconds since the epoch. */
  readonly at: number
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** Parsed; undefined when there was none or it was no JSON. */
  readonly body: unknown
}

/** Every request the server has seen, with its answer. */
export interface Recorded extends Arrival {
  readonly endpoint: string
  /** Undefined when none was sent. */
  status: number | undefined
}

export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
