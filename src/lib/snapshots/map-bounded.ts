import {throwIfInterrupted} from '../store/interruption.js'

/**
 * Does `act` for every item, at most `limit` at a time, and gives the results in order. After the first failure nothing new
 * is begun; it rejects when what was begun has ended.
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  act: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: R[] = []
  const failures: unknown[] = []
  let next = 0
  const work = async () => {
    while (next < items.length && failures.length === 0) {
      const index = next++
      try {
        throwIfInterrupted(signal)
        results[index] = await act(items[index] as T, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({length: Math.min(limit, items.length)}, work))
  if (failures.length > 0) throw failures[0]
  return results
}
