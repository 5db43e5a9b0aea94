/** What a proof allows to end: one instance of one account, as it was seen to start. */
export interface ProvenInstance {
  readonly provider: string
  readonly account: string
  readonly id: string
  readonly createdAt: number | undefined
}

const MINTED = new WeakSet<object>()

/**
 * The only thing that lets a provider destroy or wipe an instance: either a receipt (a verified snapshot of all that
 * is on it) or the proof that it never held anything (stillborn). `mintDestroyProof` is called by these two alone,
 * which lint and a test hold.
 */
export interface DestroyProof {
  readonly kind: 'receipt' | 'stillborn'
  readonly instance: ProvenInstance
  /** Milliseconds since the epoch after which it proves nothing any more. */
  readonly expiresAt: number
}

export function mintDestroyProof(proof: DestroyProof): DestroyProof {
  const minted = Object.freeze({...proof, instance: Object.freeze({...proof.instance})})
  MINTED.add(minted)
  return minted
}

/** Whether this very object was minted, for this instance, and still holds: an object of the same shape does not count. */
export function proves(
  proof: DestroyProof,
  {id, provider}: {readonly id: string; readonly provider: string},
  now: number,
): boolean {
  return (
    MINTED.has(proof) &&
    proof.instance.id === id &&
    proof.instance.provider === provider &&
    now < proof.expiresAt
  )
}
