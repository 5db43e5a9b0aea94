import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {run} from '../scripts/run-step.js'
import {BenchFailed} from './data.js'
import {timed} from './timing.js'
import {environmentOf} from './tools/command.js'

/** The five things every tool is measured at, in this order. */
export const STEPS = ['create', 'again', 'changed', 'restore', 'over']

const SETTLED_MS = 62_000

/**
 * One tool's turn: five steps, each with cold caches, from an empty store to a restored tree that is compared.
 * Leaves nothing behind.
 *
 * @param {object} tool
 * @param {object} bench
 * @param {{memory: boolean, label: string}} options
 */
export async function turn(tool, bench, {label, memory}) {
  const {data, retired, server, work} = bench
  const place = {
    bucket: server.bucket,
    endpoint: server.endpoint,
    // dumont keeps its helpers in its home; the others' caches go with their turn.
    home: join(work, 'home', tool.settles ? tool.name : label),
    prefix: label,
    target: join(work, 'target'),
    work,
    workspace: data.workspace,
  }
  const env = (command) => environmentOf(command, {home: place.home, python: data.python})
  const step = (command) =>
    timed({...command, env: env(command)}, {memory, python: data.python, server, work})
  retired.retire(place.target)
  mkdirSync(join(place.target, 'workspace'), {recursive: true})
  for (const command of tool.prepare?.(place) ?? []) await once(command, env(command))
  if (tool.settles) await settle(bench.touched)

  const figures = {}
  figures.create = {...(await step(tool.create(place, 1))), stored: server.stored(label)}
  figures.again = {...(await step(tool.create(place, 2))), stored: server.stored(label)}
  await data.put('after', data.workspace)
  figures.changed = {...(await step(tool.create(place, 3))), stored: server.stored(label)}
  figures.restore = await step(tool.restore(place, 3))
  const tree = join(place.target, 'workspace')
  figures.restore.differences = await data.compare(tree)
  await data.put('before', tree)
  const over = tool.restore(place, 3)
  figures.over = await step({...over, mayFail: tool.cannotOverwrite})
  figures.over.differences = await data.compare(tree)

  await data.put('before', data.workspace)
  bench.touched = Date.now()
  const left = [server.folder(label), place.target, ...(tool.settles ? [] : [place.home])]
  for (const each of left) retired.retire(each)
  return figures
}

async function settle(touched) {
  const left = touched + SETTLED_MS - Date.now()
  if (left > 0) await delay(left)
}

async function once({argv}, env) {
  const {code} = await run(argv, {capture: true, env})
  if (code !== 0) throw new BenchFailed(`ended with status ${code}: ${argv.join(' ')}`)
}
