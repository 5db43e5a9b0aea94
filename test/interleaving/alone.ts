import type {Actor} from './actors.js'
import type {Code} from './code.js'
import type {World} from './model-store.js'
import {Run} from './run.js'

/** Runs one actor to its end; rejects with what it fails with. */
export async function alone(world: World, actor: Actor, code: Code): Promise<void> {
  const run = new Run(world, [actor], {code, points: /^/u})
  await run.settle()
  while (run.next().size > 0) await run.step(0)
  for (const {error} of run.failures()) throw error
}
