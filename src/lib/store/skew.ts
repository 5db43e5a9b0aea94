const TOLERABLE_MS = 60_000

/** What to say when the store's clock shows so many milliseconds more than ours; undefined when it does not matter. */
export function skewWarning(skewMs: number): string | undefined {
  if (Math.abs(skewMs) <= TOLERABLE_MS) return undefined
  const direction = skewMs > 0 ? 'behind' : 'ahead of'
  return `this machine's clock is ${Math.round(Math.abs(skewMs) / 1000)} s ${direction} the store's; signed requests may be refused`
}
