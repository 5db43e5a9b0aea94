/** Chance that can be repeated: the same seed throws the same numbers. */
export class Dice {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    this.#state = seed >>> 0
  }

  /** Evenly in [0, 1). */
  fraction(): number {
    // mulberry32
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 to below. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  isWithin(probability: number): boolean {
    return this.fraction() < probability
  }

  /** One of them; they must not be none. */
  one<T>(of: readonly T[]): T {
    if (of.length === 0) throw new Error('nothing to choose from')
    return of[this.below(of.length)] as T
  }

  /** One of them, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const pairs = Object.entries(weights) as [T, number][]
    let at = this.fraction() * pairs.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of pairs) {
      at -= weight
      if (at < 0) return name
    }
    return (pairs.at(-1) as [T, number])[0]
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count)
    for (let at = 0; at + 4 <= count; at += 4) bytes.writeUInt32LE(this.below(2 ** 32), at)
    return bytes
  }
}
