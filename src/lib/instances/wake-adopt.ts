import type {Instance} from '../providers/provider.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {isHeld} from './claim.js'
import type {Claim} from './record.js'
import {readRecord} from './record-log.js'
import {isPassing} from './vendor-failure.js'
import type {Adopted} from './wake-machine.js'
import {dropClaim} from './wake-rent-steps.js'
import {refuseHeld, writeClaim, type MachineRun, type WakeRun} from './wake-run.js'

const LISTINGS_MS = [0, 5000, 10_000, 15_000, 30_000]

/**
 * Machines that earlier runs rented for the same wake and left: claims nobody holds any more, looked for by label repeatedly. What
 * does not show closes its claim. INSTANCE_BUSY while somebody else is at it.
 */
export async function adoptMachines(
  all: WakeRun,
  signal?: AbortSignal,
): Promise<readonly Adopted[]> {
  const {isFork, name, service, snapshot} = all
  const {owner, store} = service
  const claims = (await readRecord(store, name, signal))?.claims ?? []
  const now = await store.now(signal)
  const same = claims.filter((one) => one.fork === isFork)
  refuseHeld(same.filter((one) => isHeld(one, owner, now)))
  const adopted: Adopted[] = []
  for (const claim of same.filter((one) => one.snapshot === snapshot.id)) {
    const found = await adopt(all, claim, signal)
    if (found) adopted.push(found)
  }
  return adopted
}

async function adopt(
  all: WakeRun,
  claim: Claim,
  signal?: AbortSignal,
): Promise<Adopted | undefined> {
  const machine: MachineRun = {all, seconds: {}, failures: [], label: claim.label}
  const {journal, service} = all
  const found = await findByLabel(machine, claim, signal)
  if (!found) {
    await dropClaim(machine, signal)
    return undefined
  }
  machine.id = found.id
  const entries = await journal.read(claim.label)
  const {report} = service
  report({kind: 'note', message: `going on with ${found.id}, which an earlier run rented`})
  // A machine that this disk knows nothing of is not ours to end; its id is noted in the store alone.
  const isOurs = entries.some(({event}) => event === 'creating')
  if (isOurs && !entries.some(({id}) => id === found.id)) {
    const of = {provider: claim.provider, account: claim.account, label: claim.label, id: found.id}
    await journal.append(claim.label, {event: 'created', ...of})
  }
  await writeClaim(machine, {}, signal)
  const isRestored = entries.some(({event}) => event === 'restored' || event === 'handed-over')
  return {label: claim.label, id: found.id, isRestored}
}

async function findByLabel(
  {all}: MachineRun,
  claim: Claim,
  signal?: AbortSignal,
): Promise<Instance | undefined> {
  const {clock, provider} = all.service
  let heard = 0
  for (const wait of LISTINGS_MS) {
    await clock.sleep(wait, signal)
    try {
      const listed = await provider.list({label: claim.label}, signal)
      const found = listed.find(
        (one) => (one.label === claim.label || one.id === claim.id) && one.phase !== 'gone',
      )
      if (found) return found
      heard += 1
      // One that was known by its id has had time enough to show.
      if (claim.id !== null && heard > 1) return undefined
    } catch (error) {
      throwIfInterrupted(signal)
      if (!isPassing(error)) throw error
      if (heard === 0 && wait === LISTINGS_MS.at(-1)) throw error
    }
  }
  return undefined
}
