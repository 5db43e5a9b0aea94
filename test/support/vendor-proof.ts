import {type DestroyProof, mintDestroyProof} from '../../src/lib/providers/destroy-proof.js'

/** A proof that holds for ten minutes of that time. */
export function proofFor(provider: string, id: string, now: number): DestroyProof {
  return mintDestroyProof({
    kind: 'receipt',
    instance: {provider, account: 'account', id, createdAt: undefined},
    expiresAt: now + 600_000,
  })
}
