import {afterAll, describe, expect, test} from '@jest/globals'
import {asyncProperty, check} from 'fast-check'
import {createHash} from 'node:crypto'
import {mkdirSync, writeFileSync} from 'node:fs'
import {corpusFolder, kept, type Target} from './target.js'
import {spoilt} from './spoil.js'
import {TARGETS} from './targets.js'

// `npm run fuzz` sets these; without them a few hundred runs are made, always the same ones.
const SECONDS = Number(process.env['DUMONT_FUZZ_SECONDS'] ?? 0)
const SEED = Number(process.env['DUMONT_FUZZ_SEED'] ?? 20_261_123)
const ONLY = process.env['DUMONT_FUZZ_TARGET']
const RUNS = 300
const FEW = 50

const targets = TARGETS.filter(({name}) => ONLY === undefined || name === ONLY)

describe('hostile input', () => {
  afterAll(async () => {
    for (const {end} of targets) await end?.()
  })

  test.each(targets)('$name: everything kept is borne', async ({name, run, seeds}) => {
    const inputs = [...(await seeds()), ...kept(name)]
    expect(inputs.length).toBeGreaterThan(0)
    for (const input of inputs) await run(input)
  })

  test.each(targets)(
    `$name: what is made of it is borne (seed ${SEED})`,
    async (target) => {
      const runs = await hunt(target)
      expect(runs).toBeGreaterThan(0)
      if (SECONDS > 0) process.stderr.write(`${target.name}: ${runs} runs, seed ${SEED}\n`)
    },
    120_000 + SECONDS * 1000,
  )
})

/** Rejects with the smallest input that breaks a property, once it is kept in the corpus; gives the number of runs. */
async function hunt(target: Target): Promise<number> {
  const {isSlow, name, run, seeds} = target
  const input = spoilt([...(await seeds()), ...kept(name)])
  let runs = 0
  let last = Promise.resolve()
  const property = asyncProperty(input, async (bytes) => {
    runs += 1
    last = Promise.resolve(run(bytes))
    await last
  })
  const limits =
    SECONDS > 0
      ? {interruptAfterTimeLimit: SECONDS * 1000, numRuns: 2 ** 31}
      : {numRuns: isSlow ? FEW : RUNS}
  const found = await check(property, {...limits, markInterruptAsFailure: false, seed: SEED})
  // Time may be over while one is still running.
  await Promise.allSettled([last])
  if (!found.failed) return runs
  const [bytes = new Uint8Array()] = found.counterexample ?? []
  if (SECONDS > 0) keep(name, bytes)
  throw new Error(`${name}, run ${runs}: ${String(found.errorInstance)}; input ${shown(bytes)}`, {
    cause: found.errorInstance,
  })
}

function keep(name: string, bytes: Uint8Array): void {
  const folder = corpusFolder(name)
  mkdirSync(folder, {recursive: true})
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  writeFileSync(new URL(`found-${hash}`, folder), bytes)
}

function shown(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('latin1').slice(0, 2000))
}
