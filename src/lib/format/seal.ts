import {fromBase64} from './byte-string.js'
import {type Fields} from './fields.js'
import {damaged} from './integrity.js'

/** Bytes 24 … 95 of a sealed object's header: master id, run salt, object salt. */
const BYTES = 72

/** The seal that a line names, in base64; nothing for a line without one, INTEGRITY for what cannot be one. */
export function sealIn(line: Fields): {readonly seal?: string} {
  const {seal} = line
  if (seal === undefined) return {}
  if (fromBase64(seal).length !== BYTES) throw damaged('a seal of another length')
  return {seal: seal as string}
}
