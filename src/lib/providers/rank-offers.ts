import type {Offer} from './provider.js'

/** What the box is wanted for. */
export interface ExpectedUse {
  /** How long it will run, in hours. */
  readonly hours: number
  /** What a restore brings in, and what later snapshots send out, in GB (10^9). */
  readonly downloadGB: number
  readonly uploadGB?: number
  /** From the request to the first SSH session, in minutes; default: what most boots take. */
  readonly bootMinutes?: number
  /** The machine the workspace came from: its image is likely still there. */
  readonly preferMachine?: string
}

export interface RankedOffer {
  readonly offer: Offer
  /** US$ over the whole use, waiting and traffic included. */
  readonly total: number
  readonly minutesToReady: number
  /** One sentence. */
  readonly because: string
}

const TYPICAL_BOOT_MINUTES = 4
/** Taken where a vendor does not tell its link: data centres. */
const TYPICAL_MBPS = 1000
/** The machine of before wins within this share of the best price. */
const PREFERENCE = 0.05

/** Best first: by total cost, then by time to ready; the machine of before comes first if it costs at most 5 % more. */
export function rankOffers(offers: readonly Offer[], use: ExpectedUse): readonly RankedOffer[] {
  const ranked = offers
    .map((offer) => priced(offer, use))
    .toSorted((one, other) => one.total - other.total || one.minutesToReady - other.minutesToReady)
  const best = ranked[0]
  if (!best) return []
  const known = ranked.find(
    ({offer, total}) =>
      use.preferMachine !== undefined &&
      offer.machine === use.preferMachine &&
      total <= best.total * (1 + PREFERENCE),
  )
  const ordered = known ? [known, ...ranked.filter((other) => other !== known)] : ranked
  return ordered.map((entry) => ({...entry, because: explain(entry, {best, known, use})}))
}

type Priced = Omit<RankedOffer, 'because'>

/** The time until it is ready is paid for like all other. */
function priced(offer: Offer, use: ExpectedUse): Priced {
  const {bootMinutes = TYPICAL_BOOT_MINUTES, downloadGB, hours, uploadGB = 0} = use
  const megabits = Math.max(1, offer.downMbps ?? TYPICAL_MBPS)
  const minutesToReady = bootMinutes + (downloadGB * 8000) / megabits / 60
  const total =
    offer.hourly * (hours + minutesToReady / 60) +
    downloadGB * offer.downCostPerGB +
    uploadGB * offer.upCostPerGB
  return {offer, total, minutesToReady}
}

interface Field {
  readonly best: Priced
  readonly known: Priced | undefined
  readonly use: ExpectedUse
}

function explain({offer, total, minutesToReady}: Priced, {best, known, use}: Field): string {
  const traffic = use.downloadGB * offer.downCostPerGB + (use.uploadGB ?? 0) * offer.upCostPerGB
  const facts = `$${total.toFixed(2)} for ${round(use.hours)} h at $${offer.hourly.toFixed(3)}/h${
    traffic >= 0.005 ? ` with $${traffic.toFixed(2)} of traffic` : ''
  }, ready in about ${Math.ceil(minutesToReady)} min`
  const extra = total - best.total
  if (known && offer === known.offer)
    return `The same machine as before: ${facts}${extra >= 0.005 ? `, $${extra.toFixed(2)} above the cheapest` : ''}.`
  if (offer === best.offer) return `Cheapest in all: ${facts}.`
  if (extra >= 0.005) return `$${extra.toFixed(2)} more: ${facts}.`
  const isSlower = minutesToReady > best.minutesToReady
  return `As cheap${isSlower ? ', but slower to be ready' : ''}: ${facts}.`
}

function round(hours: number): number {
  return Math.round(hours * 10) / 10
}
