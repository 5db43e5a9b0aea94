import type {Instance} from '../providers/provider.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {isHeld, LATEST_MS} from './claim.js'
import type {Claim} from './record.js'
import {readRecord} from './record-log.js'
import {isPassing} from './vendor-failure.js'
import type {Adopted} from './wake-machine.js'
import {dropClaim} from './wake-rent-steps.js'
import {refuseHeld, writeClaim, type MachineRun, type WakeRun} from './wake-run.js'

const POLL_MS = 10_000
const MOST_READINGS = 2 + LATEST_MS / POLL_MS

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
    // What never had an id may yet show up, until its deadline.
    const isOver = (await service.store.now(signal)) >= Date.parse(claim.deadline)
    if (claim.id !== null || isOver) await dropClaim(machine, signal)
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

/** Looks until a contract of that age would have shown, and twice at least. */
async function findByLabel(
  {all}: MachineRun,
  claim: Claim,
  signal?: AbortSignal,
): Promise<Instance | undefined> {
  const {clock, provider, store} = all.service
  const asked = Date.parse(claim.since)
  let heard = 0
  for (let reading = 0; reading < MOST_READINGS; reading += 1) {
    try {
      const listed = await provider.list({label: claim.label}, signal)
      const found = listed.find(
        (one) => (one.label === claim.label || one.id === claim.id) && one.phase !== 'gone',
      )
      if (found) return found
      heard += 1
      if (heard > 1 && (await store.now(signal)) - asked > LATEST_MS) return undefined
    } catch (error) {
      throwIfInterrupted(signal)
      if (!isPassing(error) || reading === MOST_READINGS - 1) throw error
    }
    await clock.sleep(POLL_MS, signal)
  }
  return undefined
}
