import {createHash} from 'node:crypto'

/** Names an account whose vendor does not tell which it is, by its key; nothing of the key can be read from it. */
export function accountFingerprint(apiKey: string): string {
  return `key-${createHash('sha256').update(apiKey).digest('hex').slice(0, 12)}`
}
