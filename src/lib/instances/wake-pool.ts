import type {RankedOffer} from '../providers/rank-offers.js'

/** Offers that several machines take from, best first; money is reserved before it is spent. */
export interface OfferPool {
  /** Undefined when none is left that can be paid for. */
  take(): RankedOffer | undefined
  /** The machine failed once: it is not taken again. */
  exclude(machine: string | undefined): void
  /** What an offer that was taken came to cost, US$; 0 when nothing was rented. */
  settle(taken: RankedOffer, spent: number): void
  /** US$ that machines that were given back cost. */
  readonly wasted: number
}

/** US$ until an offer is ready, traffic included. */
export function costToReady({minutesToReady, offer}: RankedOffer, downloadGB: number): number {
  return (offer.hourly * minutesToReady) / 60 + downloadGB * offer.downCostPerGB
}

export function openOfferPool(
  ranked: readonly RankedOffer[],
  {downloadGB, maxSpend}: {readonly downloadGB: number; readonly maxSpend: number | undefined},
): OfferPool {
  let left = [...ranked]
  const reserved = new Map<RankedOffer, number>()
  let wasted = 0
  return {
    take() {
      const bound = [...reserved.values()].reduce((sum, one) => sum + one, wasted)
      const next = left.find(
        (one) => maxSpend === undefined || bound + costToReady(one, downloadGB) <= maxSpend,
      )
      if (!next) return undefined
      left = left.filter((one) => one !== next)
      reserved.set(next, costToReady(next, downloadGB))
      return next
    },
    exclude(machine) {
      if (machine !== undefined) left = left.filter(({offer}) => offer.machine !== machine)
    },
    settle(taken, spent) {
      if (reserved.delete(taken)) wasted += spent
    },
    get wasted() {
      return wasted
    },
  }
}
