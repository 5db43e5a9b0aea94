import {DumontError, isDumontError} from '../errors.js'
import type {Keyring} from '../seal/keyring.js'
import {openSlot, type Secret, serialiseSlot, type Slot} from '../seal/slot.js'
import {nameOfSlot} from './slot-name.js'
import type {SlotList} from './slots.js'
import {type AtHand, keysAtHand, type KeySources, typedSecret} from './sources.js'

/** A keyring, and what opened it. */
export interface Unlocked extends AtHand {
  readonly keyring: Keyring
  readonly slot: Slot
}

/** Whoever writes to the bucket could lay out slots that cost seconds each. */
const MOST_PASSPHRASE_SLOTS = 8
const ATTEMPTS = 3

/** The store whose slots are opened. */
export interface Locked {
  readonly repository: string
  readonly url: string
  /** Reads the slots once more. */
  readonly again: () => Promise<SlotList>
}

/** Opens a store with what is at hand, or by asking; rejects with KEY, naming what was tried and what would do. */
export async function unlock(
  list: SlotList,
  sources: KeySources,
  {again, repository, url}: Locked,
): Promise<Unlocked> {
  const tried: string[] = []
  for await (const key of keysAtHand(sources, repository)) {
    const found = await openSurely(list.slots, key.secret, again)
    if (found) return {...key, ...found}
    tried.push(key.what)
  }
  const attempts = list.slots.length > 0 && sources.ask ? ATTEMPTS : 0
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const text = await sources.ask?.(list.slots, attempt)
    if (text === undefined || text === '') break
    const secret = typedSecret(text)
    const found = await openSurely(list.slots, secret, again)
    if (found) return {what: 'what was typed', secret, ...found}
    if (attempt === 1) tried.push('what was typed')
  }
  throw shut(list, tried, url)
}

/**
 * As `openWith`. A slot that was altered on its way looks like one for another key, or like one that somebody tampered with: before
 * that is believed, the slots are read once more, and those tried that read otherwise.
 */
export async function openSurely(
  slots: readonly Slot[],
  secret: Secret,
  again: () => Promise<SlotList>,
): Promise<Opened | undefined> {
  let tampered: unknown
  try {
    const found = await openWith(slots, secret)
    if (found) return found
  } catch (error) {
    tampered = error
  }
  const seen = new Set(slots.map((slot) => serialiseSlot(slot).toString()))
  const others = (await again()).slots.filter((slot) => !seen.has(serialiseSlot(slot).toString()))
  const found = await openWith(others, secret)
  if (!found && tampered) throw tampered
  return found
}

/** What a secret opened. */
interface Opened {
  readonly keyring: Keyring
  readonly slot: Slot
}

/**
 * What a secret opens: of several slots, after a rotation that was cut short, the one that knows most. Undefined when it opens
 * none; a slot that was tampered with matters only then.
 */
export async function openWith(
  slots: readonly Slot[],
  secret: Secret,
): Promise<Opened | undefined> {
  let best: Opened | undefined
  let tampered: DumontError | undefined
  for (const slot of triable(slots, secret)) {
    try {
      const keyring = await openSlot(slot, secret)
      if (keyring && keyring.masters.length > (best?.keyring.masters.length ?? 0))
        best = {keyring, slot}
    } catch (error) {
      if (!isDumontError(error)) throw error
      tampered = error
    }
  }
  if (!best && tampered) throw tampered
  return best
}

/** The slots worth a try: those for secrets of this sort, and of costly ones only so many. */
export function triable(slots: readonly Slot[], secret: Secret): readonly Slot[] {
  if (secret.kind === 'drawn') return slots.filter(({kind}) => kind !== 'passphrase')
  return slots
    .filter(({kind}) => kind === 'passphrase')
    .toSorted((a, b) => costOf(a) - costOf(b))
    .slice(0, MOST_PASSPHRASE_SLOTS)
}

function costOf({kdf}: Slot): number {
  return kdf.name === 'scrypt' ? kdf.n * kdf.r * kdf.p : 0
}

function shut({slots}: SlotList, tried: readonly string[], url: string): DumontError {
  if (slots.length === 0)
    return new DumontError('KEY', `${url} has no key slot that could be opened`, {
      hint: 'without one nothing in it can be read; put keys/ back from a copy of the bucket',
    })
  const names = slots.slice(0, 8).map(nameOfSlot)
  if (slots.length > names.length) names.push('…')
  return new DumontError(
    'KEY',
    tried.length === 0
      ? `there is no key to ${url} on this machine`
      : `${tried.join(', ')}: no key to ${url}`,
    {
      hint: `it is opened by ${names.join(', ')}: give --key-file, DUMONT_KEY or DUMONT_PASSPHRASE, or run dumont key import once`,
    },
  )
}
