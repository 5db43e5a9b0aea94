/** How often what happened. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(name: string, count = 1): void {
    this.#counts.set(name, this.of(name) + count)
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** Of all whose name begins so. */
  total(prefix: string): number {
    return [...this.#counts].reduce(
      (sum, [name, count]) => sum + (name.startsWith(prefix) ? count : 0),
      0,
    )
  }

  toString(): string {
    return [...this.#counts]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  }
}
