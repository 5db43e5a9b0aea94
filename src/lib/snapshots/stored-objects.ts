import type {ParityGroup} from '../format/group-list.js'
import type {PackRecord} from '../format/pack-list.js'
import {objectsOf} from './group-claim.js'

/** A group by numbers of objects: as many of all of them may be lost as there are parity objects. */
export interface NumberedGroup {
  readonly all: readonly number[]
  readonly parity: number
}

/** The packs of a snapshot in their order, and after them whatever else there is of its groups. */
export interface StoredObjects {
  readonly objects: readonly PackRecord[]
  readonly groups: readonly NumberedGroup[]
}

/** Index objects are left out: they prove themselves when they are read. */
export function withGroups(
  packs: readonly PackRecord[],
  groups: readonly ParityGroup[],
): StoredObjects {
  const objects = [...packs]
  const numbers = new Map(packs.map(({key}, number) => [key, number]))
  const numberOf = (object: PackRecord): number => {
    const known = numbers.get(object.key)
    if (known !== undefined) return known
    numbers.set(object.key, objects.length)
    return objects.push(object) - 1
  }
  const numbered = groups.map((group) => ({
    all: objectsOf(group)
      .filter(({key}) => !key.startsWith('index/'))
      .map(numberOf),
    parity: group.parity.length,
  }))
  return {groups: numbered, objects}
}

/** Those of the lost objects that can be made again from what is left of their group. */
export function repairable(
  groups: readonly NumberedGroup[],
  lost: ReadonlySet<number>,
): ReadonlySet<number> {
  const found = groups.flatMap(({all, parity}) => {
    const gone = all.filter((number) => lost.has(number))
    return gone.length <= parity ? gone : []
  })
  return new Set(found)
}
