import {DumontError} from '../errors.js'
import {untrusted} from '../untrusted.js'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const FORM = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[a-z2-7]{6}$/

/** An id from the store's clock and at least six random bytes: `20261123T140200Z-k3f7qz`. */
export function makeSnapshotId(now: Date, random: Uint8Array): string {
  if (random.length < 6) throw new RangeError('a snapshot id takes six random bytes')
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  // 256 is a multiple of 32, so every character is as likely as another.
  const suffix = Array.from(random.subarray(0, 6), (byte) => ALPHABET.charAt(byte % 32)).join('')
  const id = `${time}-${suffix}`
  checkSnapshotId(id)
  return id
}

export function isSnapshotId(text: string): boolean {
  return snapshotTime(text) !== undefined
}

/** When the snapshot was begun, by the store's clock; undefined for what is no snapshot id. */
export function snapshotTime(id: string): Date | undefined {
  const match = FORM.exec(id)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  const time = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second))
  // Date.UTC wraps the 31st of February; only what comes back the same is a date.
  return time
    .toISOString()
    .startsWith(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}`)
    ? time
    : undefined
}

/** Rejects (USAGE) what is no snapshot id. */
export function checkSnapshotId(id: string): void {
  if (!isSnapshotId(id))
    throw new DumontError('USAGE', `${untrusted(id, 80)} is not a snapshot id`, {
      hint: 'ids look like 20261123T140200Z-k3f7qz; `dumont snapshot list` shows them',
    })
}
