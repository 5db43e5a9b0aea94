/** A vendor's month, by which storage is priced. */
const MONTH_HOURS = 720

/** The box as it was before it was hibernated; US$ in its vendor's own prices. */
export interface HibernatedBox {
  /** An hour while running, its disk included. */
  readonly hourly: number
  readonly diskGB: number
  /** What a GB costs in a month while the box is stopped; undefined where the vendor has no such state. */
  readonly storagePerGBMonth: number | undefined
  readonly upCostPerGB: number
  /** Of the machine it wakes on; default: the same. */
  readonly downCostPerGB: number
}

/** What dumont did with it. */
export interface HibernationUse {
  /** Between the end of the old box and the start of the new one. */
  readonly hours: number
  /** Bytes in the store that only this snapshot needs. */
  readonly storedBytes: number
  readonly uploadedBytes: number
  /** 0 as long as it was not woken. */
  readonly downloadedBytes: number
  /** Minutes of a running box that hibernating and waking took. */
  readonly minutes: number
  /** Requests that wrote to the store. */
  readonly writes: number
}

export interface StorePrices {
  readonly perGBMonth: number
  /** Of each write. */
  readonly perWrite: number
  /** Of each GB read out of it. */
  readonly egressPerGB: number
}

/** Cloudflare R2, standard class, without its free tier. */
export const R2_PRICES: StorePrices = {
  perGBMonth: 0.015,
  perWrite: 4.5 / 1_000_000,
  egressPerGB: 0,
}

/** US$; a saving below zero is a loss. */
export interface Savings {
  readonly running: number
  /** What leaving it stopped would have cost; undefined where that cannot be done. */
  readonly stopped: number | undefined
  readonly dumont: {
    readonly store: number
    readonly traffic: number
    readonly compute: number
    readonly total: number
  }
  readonly savedVersusRunning: number
  readonly savedVersusStopped: number | undefined
}

/** Compares hibernating with leaving the box running or stopped for as long. Throws a RangeError for figures that are none. */
export function savingsOf(
  box: HibernatedBox,
  use: HibernationUse,
  prices: StorePrices = R2_PRICES,
): Savings {
  for (const figure of [...Object.values(box), ...Object.values(use), ...Object.values(prices)])
    if (figure !== undefined && !(Number.isFinite(figure) && figure >= 0))
      throw new RangeError(`a price or an amount is ${figure}`)
  const running = box.hourly * use.hours
  const stopped =
    box.storagePerGBMonth === undefined
      ? undefined
      : (box.storagePerGBMonth * box.diskGB * use.hours) / MONTH_HOURS
  const dumont = costOf(box, use, prices)
  return {
    running,
    stopped,
    dumont,
    savedVersusRunning: running - dumont.total,
    savedVersusStopped: stopped === undefined ? undefined : stopped - dumont.total,
  }
}

function costOf(box: HibernatedBox, use: HibernationUse, prices: StorePrices): Savings['dumont'] {
  const store =
    (gigabytes(use.storedBytes) * prices.perGBMonth * use.hours) / MONTH_HOURS +
    use.writes * prices.perWrite
  const traffic =
    gigabytes(use.uploadedBytes) * box.upCostPerGB +
    gigabytes(use.downloadedBytes) * (box.downCostPerGB + prices.egressPerGB)
  const compute = (box.hourly * use.minutes) / 60
  return {store, traffic, compute, total: store + traffic + compute}
}

function gigabytes(bytes: number): number {
  return bytes / 1e9
}
