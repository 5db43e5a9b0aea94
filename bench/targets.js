import {equality} from './report.js'

/**
 * What dumont set out to reach beside the peers, and what this run measured. Only peers whose restored tree has the same
 * content count; times are those of the whole command.
 *
 * @param {object[]} summary
 * @param {{bf16: number, fp32: number}} weightsAlone stored / raw of the real weights
 */
export function targets(summary, weightsAlone) {
  const own = summary.find(({name}) => name === 'dumont')
  if (!own) return []
  const peers = summary.filter(({name}) => !name.startsWith('dumont'))
  const fastest = (step) => best(peers, (tool) => wall(tool, step))
  const lines = [
    limit('create again, unchanged, s', wall(own, 'again'), 1.5),
    limit('stored / raw, the whole workspace', own.stored.ratio, 0.61),
    limit('stored / raw, real bf16 weights alone', weightsAlone.bf16, 0.667),
    limit('stored / raw, real fp32 weights alone', weightsAlone.fp32, 0.83),
    limit('peak memory of create, MiB', own.memory.create / 2 ** 20, 1024),
    limit('peak memory of restore, MiB', own.memory.restore / 2 ** 20, 1024),
  ]
  if (peers.length > 0) {
    const lean = best(peers, (tool) => tool.steps.create.cpu.median)
    const leanest = lean.steps.create.cpu.median
    lines.unshift(
      factor(`create, times as fast as ${fastest('create').name}`, {
        goal: 3,
        least: 2.2,
        value: wall(fastest('create'), 'create') / wall(own, 'create'),
      }),
      factor(`restore, times as fast as ${fastest('restore').name}`, {
        goal: 1.3,
        least: 1,
        value: wall(fastest('restore'), 'restore') / wall(own, 'restore'),
      }),
      limit(`CPU of create, of ${lean.name}'s`, own.steps.create.cpu.median / leanest, 0.6),
    )
  }
  for (const restic of peers.filter(({name}) => name.startsWith('restic'))) {
    const value = wall(restic, 'restore') / wall(own, 'restore')
    lines.push(factor(`restore, times as fast as ${restic.version}`, {least: 1.4, value}))
  }
  const remote = summary.find(({name}) => name === 'dumont-ssh')
  if (remote) {
    const both = (tool) => wall(tool, 'create') + wall(tool, 'restore')
    lines.push(limit('create + restore over sshd, of --host local', both(remote) / both(own), 1.1))
  }
  lines.push({
    isMet: equality(own.differences) === 'yes',
    name: 'restored tree equal in every respect',
    text: equality(own.differences),
  })
  return lines
}

function wall(tool, step) {
  return tool.steps[step].wall.median
}

function best(tools, value) {
  return tools.toSorted((a, b) => value(a) - value(b))[0]
}

function limit(name, value, most) {
  return {isMet: value <= most, name, text: `${value.toFixed(3)} (at most ${most})`, value}
}

function factor(name, {goal, least, value}) {
  const wanted = goal ? `at least ${least}, goal ${goal}` : `at least ${least}`
  return {isMet: value >= least, name, text: `${value.toFixed(2)} (${wanted})`, value}
}
