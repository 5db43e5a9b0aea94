import {setMaxListeners} from 'node:events'

/**
 * Does `work` while `side` goes on, and hands it what `side` will give. Whichever fails first ends the other, and its error
 * is the one that counts; nothing of either goes on when this settles.
 */
export async function sideBySide<S, T>(
  side: (signal: AbortSignal) => Promise<S>,
  work: (side: Promise<S>, signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const ending = new AbortController()
  const both = AbortSignal.any([ending.signal, ...(signal ? [signal] : [])])
  // Parts and packs listen by the dozen.
  setMaxListeners(0, both)
  const failures: unknown[] = []
  const fail = (error: unknown) => {
    failures.push(error)
    ending.abort(error)
  }
  const going = side(both)
  const watched = going.catch(fail)
  const done = await work(going, both).catch((error: unknown) => {
    fail(error)
    return undefined
  })
  await watched
  if (failures.length > 0) throw failures[0]
  return done as T
}
