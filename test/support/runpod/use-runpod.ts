import {afterEach, beforeEach} from '@jest/globals'
import type {DestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import {RunpodProvider} from '../../../src/lib/providers/runpod-provider.js'
import {VirtualClock} from '../vast/virtual-clock.js'
import {proofFor} from '../vendor-proof.js'
import {FakeRunpod, RUNPOD_KEY} from './fake-runpod.js'

/** A fresh vendor, and an account at it, for each test. */
export class RunpodDesk {
  clock = new VirtualClock()
  fake = new FakeRunpod(this.clock)
  runpod = this.open()

  open(apiKey = RUNPOD_KEY, timeoutMs = 5000): RunpodProvider {
    const {base} = this.fake.server
    return new RunpodProvider({apiKey, base, clock: this.clock, random: () => 0.5, timeoutMs})
  }

  proof(id: string): DestroyProof {
    return proofFor('runpod', id, this.clock.now())
  }
}

export function useRunpod(): RunpodDesk {
  const desk = new RunpodDesk()
  beforeEach(async () => {
    desk.clock = new VirtualClock()
    desk.fake = await FakeRunpod.start(desk.clock)
    desk.runpod = desk.open()
  })
  afterEach(() => desk.fake.server.close())
  return desk
}
