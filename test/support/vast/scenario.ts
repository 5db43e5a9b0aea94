import type {FakeVast} from './fake-vast.js'
import type {Fault} from './faults.js'
import type {FakeInstance, Life} from './instance.js'

/** One thing that can happen, under its number in the list of what a vendor's fake must act out. */
export interface Scenario {
  readonly number: number
  readonly title: string
  /** Prepares it: for the next requests, the next create, or this instance. */
  readonly arrange: (fake: FakeVast, instance?: FakeInstance) => void
}

export function scenario(number: number, title: string, arrange: Scenario['arrange']): Scenario {
  return {number, title, arrange}
}

export const faults =
  (endpoint: string, fault: Fault, times = 1) =>
  (fake: FakeVast) =>
    fake.faults.inject({endpoint, fault, times})
export const life = (next: Life) => (fake: FakeVast) => void fake.lives.push(next)
export const answer = (status: number, body: object): Fault => ({
  kind: 'reply',
  reply: {status, body},
})
export const on = (act: (instance: FakeInstance, fake: FakeVast) => void): Scenario['arrange'] => {
  return (fake, instance = fake.live()[0]) => instance && act(instance, fake)
}
