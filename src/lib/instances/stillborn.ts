import {DumontError} from '../errors.js'
import {mintDestroyProof, type DestroyProof} from '../providers/destroy-proof.js'
import type {Instance} from '../providers/provider.js'
import {untrusted} from '../untrusted.js'
import type {JournalEntry} from './journal.js'

const VALID_MS = 600_000

export interface StillbornQuestion {
  /** The journal of this very instance, whole and in order. */
  readonly entries: readonly JournalEntry[]
  readonly instance: Instance
  readonly provider: string
  readonly account: string
}

/**
 * The proof that an instance never held anything of anybody's: this machine's journal says that it was about to create it
 * under a label that only it knows, and neither that a restore was completed on it nor that it was handed over. Throws
 * otherwise (INTEGRITY): then only a receipt ends it.
 */
export function stillbornProof(question: StillbornQuestion, now: number): DestroyProof {
  const {account, entries, instance, provider} = question
  const refuse = (why: string): DumontError =>
    new DumontError('INTEGRITY', `${untrusted(instance.id, 60)} may hold something: ${why}`, {
      hint: 'look at it, then end it by hand, or hibernate it',
    })
  const [first] = entries
  if (first?.event !== 'creating' || first.label === null)
    throw refuse('this machine has not created it')
  const isOurs = (entry: JournalEntry) =>
    entry.provider === provider &&
    entry.account === account &&
    (entry.label === null || entry.label === first.label) &&
    (entry.id === null || entry.id === instance.id)
  if (!entries.every(isOurs)) throw refuse('the journal speaks of another instance as well')
  // Without an answer to the create, only the label tells that it is the one.
  const isNamed = entries.some(({event, id}) => event === 'created' && id === instance.id)
  if (!isNamed && instance.label !== first.label)
    throw refuse('neither its id nor its label is known')
  if (instance.createdAt !== undefined && instance.createdAt < first.at - CLOCKS_MS)
    throw refuse('it was there before')
  const used = entries.find(({event}) => ['handed-over', 'restored'].includes(event))
  if (used)
    throw refuse(used.event === 'restored' ? 'a restore was completed on it' : 'it was handed over')
  return mintDestroyProof({
    expiresAt: now + VALID_MS,
    instance: {account, createdAt: instance.createdAt, id: instance.id, provider},
    kind: 'stillborn',
  })
}

/** Clocks of vendor and operator may differ by so much. */
const CLOCKS_MS = 600_000
