import {expect, test} from '@jest/globals'
import {join} from 'node:path'
import {scratch} from '../e2e/trees.js'
import {startFaultyProxy} from '../support/faulty-proxy.js'
import {lendHelpers} from '../support/lent-home.js'
import {findVersitygw, startVersitygw} from '../support/versitygw.js'
import {Dice} from './dice.js'
import {minutes, seed} from './long-run.js'
import {RealEngine} from './real-engine.js'

const whereS3Is = findVersitygw() ? test : test.skip
const LEAST = 14

whereS3Is(
  'whatever fails, what the command called whole comes back equal',
  async () => {
    const {path, remove} = await scratch()
    const server = await startVersitygw()
    const proxy = await startFaultyProxy(server.endpoint)
    const surroundings = {
      folder: path,
      home: lendHelpers(join(path, 'home')),
      isPatient: minutes() > 0,
      proxy,
      server,
    }
    const engine = new RealEngine(new Dice(seed()), surroundings)
    const {tally} = engine
    const end = Date.now() + minutes() * 60_000
    try {
      await engine.begin()
      for (let deed = 0; deed < LEAST || Date.now() < end; deed++) await engine.deed()
      await engine.end()
    } finally {
      process.stderr.write(
        `real engine, seed ${seed()}: ${tally.total('fault: ')} faults; ${tally.toString()}\n`,
      )
      await proxy.close()
      await server.close()
      await remove()
    }
    expect(tally.of('snapshots acknowledged')).toBeGreaterThanOrEqual(3)
    expect(tally.of('restores compared')).toBeGreaterThanOrEqual(5)
    expect(tally.of('damage reported')).toBeGreaterThanOrEqual(1)
    expect(tally.total('fault: ')).toBeGreaterThanOrEqual(3)
  },
  24 * 3_600_000,
)
