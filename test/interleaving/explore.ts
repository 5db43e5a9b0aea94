import {isDumontError} from '../../src/lib/errors.js'
import {sweeps, type Actor} from './actors.js'
import {alone} from './alone.js'
import type {Code} from './code.js'
import {findLoss} from './loss.js'
import {World} from './model-store.js'
import {Run} from './run.js'

/** Some actors at work on one store, all at once. */
export interface Scene {
  readonly name: string
  readonly begin: (code: Code) => Promise<World>
  readonly actors: (world: World) => readonly Actor[]
  /** Leaps of time, in milliseconds; each may happen anywhere, in this order. */
  readonly leaps: readonly number[]
}

export interface Bounds {
  /** How many actors may be killed, anywhere; default none. */
  readonly kills?: number
  /** How often an actor that could go on may be held up for another; undefined: as often as there are operations. */
  readonly preemptions?: number
  /** Operations before which an actor may be held up; default: all. */
  readonly points?: RegExp
  /** Ends the search, unfinished, after so many runs. */
  readonly runs?: number
}

const ALL = /^/u
/**
 * Where others can come between: everything but what concerns objects nobody else touches. Reads of objects that never
 * change matter only by failing, and uploads only by being listed.
 */
export const SHARED = /^(?:list (?!dumont)|remove|put (?:gc|snapshots)\/)/u

export interface Exploration {
  /** Executions of the real code, each from the beginning. */
  readonly runs: number
  /** Different states that were met, each followed in every way the bounds allow. */
  readonly states: number
  /** Different ends whose store was inspected. */
  readonly ends: number
  /** Of them, those at which every command had succeeded. */
  readonly peaceful: number
  /** Commands that were refused, by error code: allowed, but not always. */
  readonly refusals: ReadonlyMap<string, number>
  /** Whether nothing was left to try. */
  readonly complete: boolean
  readonly loss?: Loss
}

export interface Loss {
  readonly what: string
  /** Operation by operation, who did what. */
  readonly schedule: readonly string[]
}

/** Let a player go on, let time leap, or kill a player. */
type Move =
  | {readonly sort: 'go' | 'kill'; readonly player: number; readonly operation: string}
  | {readonly sort: 'leap'}

/** What is left of the bounds, and who went last: with the state of the run, all that the future depends on. */
interface Rest {
  readonly leaps: number
  readonly kills: number
  readonly preemptions: number
  readonly last: number
}

interface Tally {
  runs: number
  ends: number
  peaceful: number
  loss?: Loss
  readonly seen: Set<string>
  readonly refusals: Map<string, number>
}

/**
 * Runs the actors in every order of their operations, depth first. A state that was met before is not followed again: an
 * actor is decided by what it has seen, so two runs in the same state have the same future. Ends at the first loss.
 */
export async function explore(scene: Scene, code: Code, bounds: Bounds = {}): Promise<Exploration> {
  const begin = await scene.begin(code)
  const open: (readonly Move[])[] = [[]]
  const tally: Tally = {runs: 0, ends: 0, peaceful: 0, seen: new Set(), refusals: new Map()}
  const {points = ALL, runs: most = Infinity} = bounds
  while (open.length > 0 && tally.runs < most && !tally.loss) {
    tally.runs++
    const run = new Run(new World(begin), scene.actors(begin), {code, points})
    await follow(run, {scene, code, bounds, tally, open, path: [...take(open)]})
  }
  const {ends, loss, peaceful, refusals, runs, seen} = tally
  return {
    runs,
    states: seen.size,
    ends,
    peaceful,
    refusals,
    complete: open.length === 0 && !loss,
    ...(loss ? {loss} : {}),
  }
}

/** Any of those that are open, but the same every time: a search that is cut short has then looked everywhere a little. */
function take(open: (readonly Move[])[]): readonly Move[] {
  const last = open.pop() ?? []
  const at = (open.length * 2_654_435_761) % (open.length + 1)
  return open[at] === undefined ? last : (open.splice(at, 1, last)[0] ?? [])
}

interface Search {
  readonly scene: Scene
  readonly bounds: Bounds
  readonly tally: Tally
  readonly open: (readonly Move[])[]
  readonly path: Move[]
  readonly code: Code
}

/** Repeats a path, then goes on by itself until the end or a known state, and notes the other ways. */
async function follow(run: Run, {bounds, code, open, path, scene, tally}: Search): Promise<void> {
  let rest: Rest = {
    leaps: scene.leaps.length,
    kills: bounds.kills ?? 0,
    preemptions: bounds.preemptions ?? Infinity,
    last: -1,
  }
  await run.settle()
  for (const move of path) rest = await make(run, {move, rest, scene})
  for (;;) {
    const key = `${run.fingerprint()} ${JSON.stringify(rest)}`
    if (tally.seen.has(key)) return
    tally.seen.add(key)
    const [first, ...others] = movesOf(run, rest, bounds)
    if (!first) break
    for (const other of others) open.push([...path, other])
    rest = await make(run, {move: first, rest, scene})
    path.push(first)
  }
  tally.ends++
  const failures = run.failures()
  if (failures.length === 0) tally.peaceful++
  for (const {error} of failures) {
    const name = String((error as {code?: unknown}).code)
    tally.refusals.set(name, (tally.refusals.get(name) ?? 0) + 1)
  }
  const what = findLoss(run) ?? (await lossOfSweep(run, code))
  if (what !== undefined) tally.loss = {what, schedule: path.map((move) => describe(run, move))}
}

/** Time makes worse what was planned wrongly: whatever is marked by now goes. */
async function lossOfSweep(run: Run, code: Code): Promise<string | undefined> {
  run.world.now += 61 * 60_000
  // A manifest that was reported as unusable may stand in its way; then it removes nothing.
  await alone(run.world, sweeps('last sweep'), code).catch((error: unknown) => {
    if (!isDumontError(error)) throw error
  })
  return findLoss(run)
}

async function make(
  run: Run,
  {move, rest, scene}: {readonly move: Move; readonly rest: Rest; readonly scene: Scene},
): Promise<Rest> {
  if (move.sort === 'leap') {
    run.leap(scene.leaps.at(-rest.leaps) ?? 0)
    return {...rest, leaps: rest.leaps - 1}
  }
  const next = run.next()
  if (next.get(move.player) !== move.operation)
    throw new Error(`the same moves led elsewhere: ${move.operation}`)
  if (move.sort === 'kill') {
    run.kill(move.player)
    return {...rest, kills: rest.kills - 1}
  }
  const isHeldUp = rest.last !== move.player && next.has(rest.last)
  await run.step(move.player)
  return {...rest, last: move.player, preemptions: rest.preemptions - (isHeldUp ? 1 : 0)}
}

/** Whoever went last goes first, so that the first run of all is one command after the other. */
function movesOf(
  run: Run,
  {kills, last, leaps, preemptions}: Rest,
  {preemptions: bound}: Bounds,
): Move[] {
  const next = [...run.next()].map(([player, operation]) => ({player, operation}))
  if (next.length === 0) return []
  const own = next.filter(({player}) => player === last)
  const others = next.filter(({player}) => player !== last)
  const isBound = bound !== undefined && own.length > 0 && preemptions === 0
  return [
    ...[...own, ...(isBound ? [] : others)].map((one) => ({sort: 'go', ...one}) as const),
    ...(leaps > 0 ? [{sort: 'leap'} as const] : []),
    ...(kills > 0 ? next.map((one) => ({sort: 'kill', ...one}) as const) : []),
  ]
}

function describe(run: Run, move: Move): string {
  if (move.sort === 'leap') return 'time leaps'
  const name = run.actors()[move.player]?.actor.name ?? '?'
  return move.sort === 'kill'
    ? `${name} is killed before ${move.operation}`
    : `${name}: ${move.operation}`
}
