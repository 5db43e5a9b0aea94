/** One machine on its way from an offer to its owner; steps only add to it, a discarded one begins anew. */
export interface WakeFacts {
  /** Machines that came to be and failed. */
  readonly rounds: number
  readonly offer: 'chosen' | 'exhausted' | 'none'
  readonly claimed: boolean
  /** `unheard`: nobody knows whether it was made; `unsettled`: repeated listings do not show it. */
  readonly contract: 'made' | 'none' | 'refused' | 'unheard' | 'unsettled'
  readonly running: boolean
  readonly fits: boolean
  readonly reached: boolean
  readonly provisioned: boolean
  readonly restored: boolean
  readonly hooked: boolean
  readonly handedOver: boolean
  /** Why this machine has to go. */
  readonly failed: string | undefined
  /** It could not be given back for certain: nothing more is rented. */
  readonly leaked: boolean
  /** No other machine would do better. */
  readonly hopeless: boolean
}

export type WakeStep =
  | 'await'
  | 'check'
  | 'choose'
  | 'claim'
  | 'create'
  | 'discard'
  | 'done'
  | 'forget'
  | 'give-up'
  | 'hand-over'
  | 'hook'
  | 'provision'
  | 'reach'
  | 'restore'
  | 'settle'

export const MOST_ROUNDS = 3

type Rule = readonly [WakeStep, (facts: WakeFacts) => boolean]

const WAY: readonly Rule[] = [
  ['done', ({handedOver}) => handedOver],
  ['give-up', ({leaked}) => leaked],
  // Once restored a machine belongs to its owner, whatever fails afterwards.
  ['discard', ({contract, failed}) => contract === 'made' && failed !== undefined],
  ['give-up', ({hopeless}) => hopeless],
  ['settle', ({contract}) => contract === 'unheard'],
  ['forget', ({contract}) => contract === 'refused' || contract === 'unsettled'],
  ['give-up', ({rounds}) => rounds >= MOST_ROUNDS],
  ['give-up', ({offer}) => offer === 'exhausted'],
  ['choose', ({contract, offer}) => contract === 'none' && offer === 'none'],
  ['claim', ({claimed, contract}) => contract === 'none' && !claimed],
  ['create', ({contract}) => contract === 'none'],
  ['await', ({running}) => !running],
  ['check', ({fits}) => !fits],
  ['reach', ({reached}) => !reached],
  ['provision', ({provisioned}) => !provisioned],
  ['restore', ({restored}) => !restored],
  ['hook', ({hooked}) => !hooked],
  ['hand-over', ({handedOver}) => !handedOver],
]

/** What to do next for one machine; a pure function, so that every edge can be looked at. */
export function nextWakeStep(facts: WakeFacts): WakeStep {
  return WAY.find(([, isNext]) => isNext(facts))?.[0] ?? 'done'
}

/** Before any offer is taken, or again after one came to nothing. */
export function freshFacts(rounds: number): WakeFacts {
  return {
    rounds,
    offer: 'none',
    claimed: false,
    contract: 'none',
    running: false,
    fits: false,
    reached: false,
    provisioned: false,
    restored: false,
    hooked: false,
    handedOver: false,
    failed: undefined,
    leaked: false,
    hopeless: false,
  }
}
