import {PACK_MAX} from './chunk-record.js'
import {isFields, wholeNumber} from './fields.js'
import {at, damaged} from './integrity.js'
import {readJsonLines} from './json-lines.js'
import {pinIn, type PackRecord} from './pack-list.js'

/** An object as it is stored, whatever is in it. */
export type StoredObject = Pick<PackRecord, 'key' | 'length' | 'pin'>

/** Objects of which as many may be lost as there are parity objects; `docs/format.md` section 9. */
export interface ParityGroup {
  /** In the order in which they were summed. */
  readonly members: readonly StoredObject[]
  readonly parity: readonly StoredObject[]
}

export const MOST_MEMBERS = 16
export const MOST_PARITY = 4

const ID = String.raw`\d{8}T\d{6}Z-[a-z2-7]{6}`
const MEMBER = new RegExp(`^(?:packs/${ID}/\\d+-\\d+-[A-Za-z0-9]+|index/${ID}/(?:\\d+|packs))$`)
const PARITY = new RegExp(`^parity/${ID}/\\d+-\\d+-[A-Za-z0-9]+$`)

/** Reads `index/<snapshot>/groups`; INTEGRITY or FORMAT_NEWER, naming the object. */
export async function parseGroupList(object: Uint8Array, snapshot: string): Promise<ParityGroup[]> {
  try {
    const {lines} = await readJsonLines(object, 'groups', snapshot)
    const seen = new Set<string>()
    return Array.from(lines, (line, number) => {
      if (line['group'] !== number) throw damaged('group numbers jump')
      const members = objects(line['members'], {form: MEMBER, most: MOST_MEMBERS, seen})
      const parity = objects(line['parity'], {form: PARITY, most: MOST_PARITY, seen})
      const longest = Math.max(...members.map(({length}) => length))
      if (parity.some(({length}) => length !== longest))
        throw damaged('a parity object of another length than the longest member')
      return {members, parity}
    })
  } catch (error) {
    throw at(`index/${snapshot}/groups`, error)
  }
}

function objects(
  values: unknown,
  {form, most, seen}: {readonly form: RegExp; readonly most: number; readonly seen: Set<string>},
): StoredObject[] {
  if (!Array.isArray(values) || values.length === 0 || values.length > most)
    throw damaged(`a group without 1 to ${most} of its objects`)
  return values.map((value: unknown) => {
    if (!isFields(value)) throw damaged('a group of something else than objects')
    const {key} = value
    if (typeof key !== 'string' || !form.test(key)) throw damaged("not a key of a group's object")
    if (seen.has(key)) throw damaged('an object twice')
    seen.add(key)
    const length = wholeNumber(value, 'length', PACK_MAX)
    if (length === 0) throw damaged('an empty object')
    return {key, length, pin: pinIn(value)}
  })
}
