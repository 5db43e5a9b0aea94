/** The known word a mistyped one is closest to; undefined when none is close. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({
      candidate,
      distance: distance(word.toLowerCase(), candidate.toLowerCase()),
    }))
    .toSorted((one, other) => one.distance - other.distance)
  const [best] = ranked
  return best && best.distance <= bound(word) ? best.candidate : undefined
}

/** Levenshtein: insertions, deletions and substitutions. */
function distance(one: string, other: string): number {
  let row = Array.from({length: other.length + 1}, (_, index) => index)
  for (let index = 0; index < one.length; index++) {
    const next = [index + 1]
    for (let column = 1; column <= other.length; column++) {
      const substitution = (row[column - 1] ?? 0) + (other[column - 1] === one[index] ? 0 : 1)
      next.push(Math.min(substitution, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[other.length] ?? 0
}

/** Two letters that changed places are two steps. */
function bound(word: string): number {
  return word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3))
}
