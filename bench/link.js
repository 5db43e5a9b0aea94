// `npm run bench:link`: dumont's transfers over a link of 100, 200 and 500 Mbit/s (network namespaces and `tbf`), beside 32
// plain parallel PUTs and GETs of the very objects it stored; then the same with latency, and with stalls. Needs root.
// usage: npm run bench:link -- [--rates 100,200,500] [--rounds 3] [--seconds 20] [--skip rates|latency|stalls,…] [--work DIRECTORY]
import {mkdirSync, rmSync, writeFileSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {parseArgs} from 'node:util'
import {ensureBuilt} from '../scripts/ensure-packages.js'
import {ensureServers} from '../scripts/ensure-servers.js'
import {ROOT, say} from '../scripts/run-step.js'
import {BenchFailed, ensureBenchPython} from './data.js'
import {makeLink} from './link-net.js'
import {equip, transfers} from './link-run.js'
import {rateTable, stallTable} from './link-report.js'
import {describeMachine} from './machine.js'

const LATENCY = {jitter: 20, latency: 60}
const STEADY = 200
const STALL_SECONDS = 5

const {values} = parseArgs({
  options: {
    rates: {default: '100,200,500', type: 'string'},
    rounds: {default: '3', type: 'string'},
    seconds: {default: '20', type: 'string'},
    skip: {default: '', type: 'string'},
    work: {default: join(ROOT, 'bench-work'), type: 'string'},
  },
})

try {
  if (process.getuid() !== 0) throw new BenchFailed('network namespaces need root')
  await main(resolve(values.work))
  process.exit()
} catch (error) {
  if (!(error instanceof BenchFailed)) throw error
  process.stderr.write(`\nThe benchmark failed: ${error.message}\n`)
  process.exit(1)
}

async function main(results) {
  const work = join(results, 'link')
  mkdirSync(work, {recursive: true})
  for (const name of ['home', 'server', 'target'])
    rmSync(join(work, name), {force: true, recursive: true})
  if (!(await ensureBuilt())) throw new BenchFailed('dumont could not be built')
  const {path} = await ensureServers()
  const python = await ensureBenchPython(results)
  const machine = await describeMachine(python)
  await equip({python, work})
  const link = await makeLink({path, work})
  const skipped = values.skip.split(',')
  const run = {link, megabits: STEADY, python, seconds: Number(values.seconds), work}
  const figures = {latency: [], rates: [], stalls: []}
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const megabits of skipped.includes('rates') ? [] : values.rates.split(',').map(Number)) {
      say(`round ${round + 1}: ${megabits} Mbit/s`)
      figures.rates.push(...(await measured({...run, endpoint: link.endpoint, megabits}, round)))
    }
    if (skipped.includes('latency')) continue
    say(`round ${round + 1}: ${STEADY} Mbit/s, ${LATENCY.latency} ms`)
    const proxy = await link.startProxy(LATENCY)
    figures.latency.push(...(await measured({...run, endpoint: proxy.endpoint}, round)))
    await proxy.stop()
  }
  if (!skipped.includes('stalls')) figures.stalls = await stalled(run)
  report({...figures, machine}, results)
}

/** One round: what dumont and the plain transfers need, dumont first in every other round. */
async function measured(options, round) {
  const {dumont, place, plain, remove} = await transfers(options)
  const {megabits} = options
  const results = []
  for (const step of ['create', 'restore']) {
    const pair = {dumont: () => dumont(step), plain: () => plain(step)}
    // What plain PUTs send is known only after the create.
    const order = step === 'restore' && round % 2 === 1 ? ['plain', 'dumont'] : ['dumont', 'plain']
    const found = {megabits, step}
    for (const name of order) found[name] = await pair[name]()
    process.stderr.write(`${step}: ${line(found.dumont)}; plain: ${line(found.plain)}\n`)
    results.push(found)
  }
  remove(place)
  return results
}

/** Nothing passes for five seconds; one of the connections never goes on. */
async function stalled(run) {
  const results = []
  for (const step of ['create', 'restore']) {
    for (const kind of ['none', 'all for 5 s', 'one for ever']) {
      say(`${step}, stalled: ${kind}`)
      const proxy = await run.link.startProxy()
      const {dumont, place, plain, remove} = await transfers({...run, endpoint: proxy.endpoint})
      if (step === 'restore') await dumont('create')
      const stall = {kind, seconds: STALL_SECONDS, tell: proxy.tell}
      const found = {kind, step, dumont: await dumont(step, stall)}
      if (kind !== 'one for ever') found.plain = await plain(step, stall)
      process.stderr.write(`${step}, ${kind}: ${line(found.dumont)}\n`)
      results.push(found)
      remove(place)
      await proxy.stop()
    }
  }
  return results
}

function line({rate, tail, wall}) {
  return `${(rate / 1e6).toFixed(2)} MB/s, tail ${tail.toFixed(2)} s, whole ${wall.toFixed(2)} s`
}

function report(result, results) {
  const {machine} = result
  const folder = join(results, 'results')
  mkdirSync(folder, {recursive: true})
  const file = join(folder, `link-${machine.date.replaceAll(/[:.]/g, '-')}`)
  writeFileSync(`${file}.json`, `${JSON.stringify(result, undefined, 1)}\n`)
  const text = [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, Python ${machine.python}; ${machine.date}, commit ${machine.commit}${machine.commitIsExact ? '' : ' with changes'}; load ${machine.load.toFixed(1)} at the start.`,
    `${values.rounds} rounds, medians; random bytes, so that what is stored is what was read.`,
    '',
    rateTable('link', result.rates, ({megabits}) => `${megabits} Mbit/s`),
    '',
    rateTable('link', result.latency, ({megabits}) => {
      return `${megabits} Mbit/s, ${LATENCY.latency} ms there and back ± ${LATENCY.jitter / 2}`
    }),
    '',
    stallTable(result.stalls),
    '',
  ].join('\n')
  writeFileSync(`${file}.md`, text)
  process.stdout.write(`${text}\n${file}.json\n`)
}
