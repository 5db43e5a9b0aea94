import {damaged} from './integrity.js'

/** A JSON object nobody has looked into yet. */
export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A number from 0 to `most`; INTEGRITY for anything else. */
export function wholeNumber(line: Fields, name: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = line[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > most)
    throw damaged(`${name} is not a whole number from 0 to ${most}`)
  return value
}
