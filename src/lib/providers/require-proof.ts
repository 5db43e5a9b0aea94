import type {Clock} from '../clock.js'
import {type DestroyProof, proves} from './destroy-proof.js'
import {ProviderError} from './provider-error.js'

/** To be called right before whatever ends or empties an instance; throws UNPROVEN unless this very proof holds now. */
export function requireProof(
  proof: DestroyProof | undefined,
  {
    id,
    operation,
    provider,
  }: {readonly id: string; readonly operation: string; readonly provider: string},
  clock: Clock,
): void {
  if (proof === undefined || !proves(proof, {id, provider}, clock.now()))
    throw new ProviderError(
      'UNPROVEN',
      {provider, operation},
      `there is no proof that ${id} may be lost`,
    )
}
