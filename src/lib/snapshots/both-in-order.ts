/** What both give. Rejects when both have ended; the failure of the first is told, whichever came first. */
export async function bothInOrder<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  second.catch(() => {})
  try {
    const value = await first
    return [value, await second]
  } catch (error) {
    await second.catch(() => {})
    throw error
  }
}
