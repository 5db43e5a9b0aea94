import {creates, LINEAGE, prunes, removes, REPOSITORY, sweeps, type Actor} from './actors.js'
import type {Scene} from './explore.js'
import {pinOf} from '../../src/lib/store/pin.js'
import {alone} from './alone.js'
import {World} from './model-store.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Two snapshots of one lineage; the second leans on the first. */
const TWO = [
  creates('first', {a: 'apple', b: 'banana'}),
  creates('second', {a: 'apple', c: 'cherry'}),
]
const third = creates('create', {a: 'apple', c: 'cherry', d: 'date'})

export const deletion: Scene = {
  name: 'a create, a deletion of all it leans on, and a sweep',
  begin: after(...TWO),
  actors: (world) => [third, removes('delete', ...idsIn(world)), sweeps('sweep')],
  leaps: [61 * MINUTE],
}

const pruning: Scene = {
  name: 'a create, a prune, and a sweep',
  begin: after(...TWO),
  actors: () => [third, prunes('prune', {last: 1}), sweeps('sweep')],
  leaps: [61 * MINUTE],
}

const twoDeletions: Scene = {
  name: 'two deletions that share packs, and a sweep',
  begin: after(...TWO),
  actors: (world) => [
    ...idsIn(world).map((id, number) => removes(`delete ${number + 1}`, id)),
    sweeps('sweep'),
  ],
  leaps: [61 * MINUTE],
}

const twoPrunes: Scene = {
  name: 'two prunes and a create',
  begin: after(...TWO),
  actors: () => [third, prunes('prune 1', {last: 1}), prunes('prune 2', {last: 1})],
  leaps: [61 * MINUTE],
}

export const dueMarks: Scene = {
  name: 'a create and two sweeps of marks that fall due meanwhile',
  begin: async (code) => {
    const world = await after(...TWO)(code)
    await alone(world, removes('delete', ...idsIn(world)), code)
    world.now += 50 * MINUTE
    return world
  },
  actors: (world) => [resumed(world), sweeps('sweep 1'), sweeps('sweep 2')],
  leaps: [5 * MINUTE, 6 * MINUTE],
}

const longCreate: Scene = {
  name: 'a create that takes more than a day, a deletion, and a sweep',
  begin: after(...TWO),
  actors: (world) => [third, removes('delete', idsIn(world)[0] ?? ''), sweeps('sweep')],
  leaps: [25 * HOUR, 61 * MINUTE],
}

export const parity: Scene = {
  name: 'a create that keeps parity of what is deleted meanwhile, and a sweep',
  begin: after(
    creates('first', {a: 'apple', b: 'banana'}, {parity: 1}),
    creates('second', {a: 'apple', c: 'cherry'}, {parity: 1}),
  ),
  actors: (world) => [
    creates('create', {a: 'apple', c: 'cherry', d: 'date'}, {parity: 1}),
    removes('delete', ...idsIn(world)),
    sweeps('sweep'),
  ],
  leaps: [25 * HOUR, 61 * MINUTE],
}

export const longIdle: Scene = {
  name: 'a create that finds nothing new and takes more than a day, a deletion, and a sweep',
  begin: after(...TWO),
  actors: (world) => [
    creates('create', {a: 'apple', c: 'cherry'}),
    removes('delete', idsIn(world)[0] ?? ''),
    sweeps('sweep'),
  ],
  leaps: [25 * HOUR, 61 * MINUTE],
}

export const scenes: readonly Scene[] = [
  deletion,
  pruning,
  twoDeletions,
  twoPrunes,
  dueMarks,
  longCreate,
  parity,
  longIdle,
]

/** A create that finds packs of a run that was cut off, and takes them up: here those of what was deleted. */
function resumed(world: World): Actor {
  const left = [...world.objects].find(([key]) => key.startsWith('packs/'))
  const signed = left
    ? [
        {
          key: left[0],
          length: left[1].bytes.length,
          pin: pinOf('crc32', left[1].bytes),
          lineage: LINEAGE,
        },
      ]
    : []
  return creates('create', {a: 'apple', b: 'banana'}, {left: signed})
}

/** The world after these, one after the other, each a minute later. */
function after(...actors: readonly Actor[]): Scene['begin'] {
  return async (code) => {
    const world = new World()
    const created = new Date(world.now).toISOString()
    const repository = {format: 1, id: REPOSITORY, created, pin: 'crc32'}
    world.put('dumont.json', Buffer.from(JSON.stringify(repository)))
    for (const actor of actors) {
      await alone(world, actor, code)
      world.now += MINUTE
    }
    return world
  }
}

function idsIn({objects}: World): string[] {
  return [...objects.keys()].flatMap((key) => /^snapshots\/(.+)\.json$/u.exec(key)?.[1] ?? [])
}
