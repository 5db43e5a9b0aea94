import {afterEach, beforeEach} from '@jest/globals'
import type {DestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import {LambdaProvider} from '../../../src/lib/providers/lambda-provider.js'
import {VirtualClock} from '../vast/virtual-clock.js'
import {proofFor} from '../vendor-proof.js'
import {FakeLambda, LAMBDA_KEY} from './fake-lambda.js'

/** A fresh vendor, and an account at it, for each test. */
export class LambdaDesk {
  clock = new VirtualClock()
  fake = new FakeLambda(this.clock)
  lambda = this.open()

  open(apiKey = LAMBDA_KEY, timeoutMs = 5000): LambdaProvider {
    const {base} = this.fake.server
    return new LambdaProvider({apiKey, base, clock: this.clock, random: () => 0.5, timeoutMs})
  }

  proof(id: string): DestroyProof {
    return proofFor('lambda', id, this.clock.now())
  }
}

export function useLambda(): LambdaDesk {
  const desk = new LambdaDesk()
  beforeEach(async () => {
    desk.clock = new VirtualClock()
    desk.fake = await FakeLambda.start(desk.clock)
    desk.lambda = desk.open()
  })
  afterEach(() => desk.fake.server.close())
  return desk
}
