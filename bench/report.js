import {STEPS} from './round.js'

const HEADINGS = {
  again: 'create, unchanged',
  changed: 'create, one checkpoint changed',
  create: 'create',
  over: 'restore over a tree',
  restore: 'restore',
}

/**
 * Medians, with the lowest and highest, of all rounds of all tools; memory comes from the warm-up, where it was sampled.
 *
 * @param {{tools: object[], rounds: object[], warmUp: object, raw: number}} measured
 */
export function summarize({raw, rounds, tools, warmUp}) {
  return tools.map(({isElsewhere, name, version}) => {
    const turns = rounds.map((round) => round[name])
    const steps = Object.fromEntries(
      STEPS.map((step) => [step, summarizeStep(turns.map((each) => each[step]))]),
    )
    const warm = warmUp[name]
    return {
      // A create counts for nothing if what it made does not come back.
      differences: [warm, ...turns].flatMap((each) => [
        each.restore.differences,
        each.over.differences,
      ]),
      memory: Object.fromEntries(STEPS.map((step) => [step, warm[step].peakBytes])),
      connections: Object.fromEntries(STEPS.map((step) => [step, warm[step].connections])),
      name,
      steps,
      stored: summarizeStored(turns[0], raw),
      version,
      ...(isElsewhere ? {isElsewhere} : {}),
    }
  })
}

function summarizeStep(runs) {
  const of = (property) => spread(runs.map((each) => each[property]))
  const status = Math.max(...runs.map((each) => each.status))
  return {
    cpu: of('cpu'),
    others: of('others'),
    status,
    requests: of('requests'),
    server: of('server'),
    wall: of('wall'),
  }
}

function summarizeStored({again, changed, create}, raw) {
  return {
    addedByChange: changed.stored.bytes - again.stored.bytes,
    addedUnchanged: again.stored.bytes - create.stored.bytes,
    bytes: create.stored.bytes,
    objects: create.stored.objects,
    ratio: create.stored.bytes / raw,
  }
}

function spread(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return {all: values, high: sorted.at(-1), low: sorted[0], median}
}

/** The figures as Markdown tables. */
export function tables(summary) {
  return [
    'Wall seconds, median (lowest–highest):',
    '',
    markdownTable(['', ...STEPS.map((step) => HEADINGS[step])], summary, (tool) => [
      tool.name,
      ...STEPS.map((step) => seconds(tool.steps[step])),
    ]),
    '',
    'CPU seconds of the tool and all it starts + of the server, median:',
    '',
    markdownTable(['', ...STEPS.map((step) => HEADINGS[step])], summary, (tool) => [
      tool.name,
      ...STEPS.map((step) => cpu(tool, step)),
    ]),
    '',
    markdownTable(
      [
        '',
        'stored / raw',
        'objects',
        'added unchanged, MB',
        'added by the change, MB',
        'requests: create, restore',
        'peak memory MB: create, restore',
        'connections',
        'CPU seconds of others meanwhile: create, restore',
        'restored tree equal',
      ],
      summary,
      resources,
    ),
  ].join('\n')
}

function resources(tool) {
  const {connections, memory, steps, stored} = tool
  const peak = (step) => (tool.isElsewhere ? '–' : (memory[step] / 1e6).toFixed(0))
  // The worker of the one behind sshd is among the others.
  const others = tool.isElsewhere
    ? '–'
    : ['create', 'restore'].map((step) => steps[step].others.median.toFixed(1)).join(', ')
  return [
    tool.name,
    stored.ratio.toFixed(3),
    String(stored.objects),
    (stored.addedUnchanged / 1e6).toFixed(1),
    (stored.addedByChange / 1e6).toFixed(1),
    `${steps.create.requests.median}, ${steps.restore.requests.median}`,
    `${peak('create')}, ${peak('restore')}`,
    `${connections.create}, ${connections.restore}`,
    others,
    equality(tool.differences),
  ]
}

/** "yes", or what the worst restore got wrong. */
export function equality(differences) {
  const worst = differences.map(({kinds}) => kinds).toSorted((a, b) => count(b) - count(a))[0]
  if (count(worst) === 0) return 'yes'
  const sorted = Object.entries(worst).toSorted(([, a], [, b]) => b - a)
  return `no: ${sorted.map(([kind, times]) => `${times} × ${kind}`).join(', ')}`
}

function count(kinds) {
  return Object.values(kinds).reduce((sum, each) => sum + each, 0)
}

function seconds({status, wall: {high, low, median}}) {
  const text = `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
  return status === 0 ? text : `${text}, status ${status}`
}

function cpu({isElsewhere, steps}, step) {
  const own = isElsewhere ? '–' : steps[step].cpu.median.toFixed(2)
  return `${own} + ${steps[step].server.median.toFixed(2)}`
}

/** Headings, and a line of cells for each row. */
export function markdownTable(headings, rows, cells) {
  return [
    line(headings),
    line(headings.map(() => '---')),
    ...rows.map((row) => line(cells(row))),
  ].join('\n')
}

function line(texts) {
  return `| ${texts.join(' | ')} |`
}
