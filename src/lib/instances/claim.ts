import {changed, draftFrom} from './record-draft.js'
import type {Claim, InstanceRecord, RecordedMachine} from './record.js'
import type {Draft} from './record-log.js'
import type {ClaimOwner} from './claim-owner.js'

/** Longer than everything before the restore can take: renting, listing, booting, provisioning. */
export const CLAIM_MS = 60 * 60_000
/** From the beginning of the restore on nobody else shall take the machine for abandoned. */
export const RESTORE_CLAIM_MS = 12 * 60 * 60_000

/** No vendor has been seen to show a contract later than this after its create. */
export const LATEST_MS = 3 * 60_000

/** Whether somebody else may still be working for this claim. */
export function isHeld(claim: Claim, owner: ClaimOwner, now: number): boolean {
  if (claim.owner === owner.id) return false
  return owner.isAtWork(claim.owner) && now < Date.parse(claim.deadline)
}

/** The claims of others that are not over: who sees one waits. */
export function heldClaims(
  record: InstanceRecord | undefined,
  owner: ClaimOwner,
  now: number,
): readonly Claim[] {
  return (record?.claims ?? []).filter((claim) => isHeld(claim, owner, now))
}

/** The record with this claim in it, in place of an older one of the same label. */
export function withClaim(
  last: InstanceRecord | undefined,
  claim: Claim,
  machine: RecordedMachine,
): Draft {
  const claims = [...(last?.claims ?? []).filter(({label}) => label !== claim.label), claim]
  return {...draftFrom(last, last?.instance ?? machine), state: last?.state ?? 'claimed', claims}
}

/** The record without the claim; undefined when it is closed already. */
export function withoutClaim(
  last: InstanceRecord | undefined,
  label: string,
  changes: Partial<Draft> = {},
): Draft | undefined {
  if (!last?.claims.some((claim) => claim.label === label)) return undefined
  return changed(last, {
    claims: last.claims.filter((claim) => claim.label !== label),
    ...changes,
  })
}
