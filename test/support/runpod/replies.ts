import type {Reply} from '../vast/reply.js'

export function problem(status: number, title: string, detail: string): Reply {
  return {
    status,
    body: {title, status, detail},
    headers: {'content-type': 'application/problem+json'},
  }
}

export function notFound(): Reply {
  return problem(404, 'Not Found', 'resource not found')
}

export function ok(body: unknown): Reply {
  return {status: 200, body}
}
