import {createHash, timingSafeEqual} from 'node:crypto'

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567'
const WORD = 'dumont-key'
const SECRET = 32
const CHECK = 3

/** How 32 secret bytes are written down: 8 groups of 7 letters that carry a check against slips of the pen. */
export function secretText(secret: Uint8Array): string {
  return [WORD, ...groupsOf(secret)].join('-')
}

/** The eight groups, as they are asked for one by one. */
export function groupsOf(secret: Uint8Array): readonly string[] {
  return base32(Buffer.concat([secret, checkOf(secret)])).match(/.{7}/g) ?? []
}

/** The 32 bytes; undefined when it is no secret text or one of its letters is wrong. */
export function parseSecretText(text: string): Buffer | undefined {
  if (text.length > 1000) return undefined
  const letters = text
    .toLowerCase()
    .replaceAll(/[\s-]/g, '')
    .replace(/^dumontkey(?=.{56}$)/, '')
  if (!/^[a-z2-7]{56}$/.test(letters)) return undefined
  const bytes = bytesOf(letters)
  const secret = bytes.subarray(0, SECRET)
  return timingSafeEqual(bytes.subarray(SECRET), checkOf(secret)) ? secret : undefined
}

function checkOf(secret: Uint8Array): Buffer {
  return createHash('sha256').update('dumont secret 1').update(secret).digest().subarray(0, CHECK)
}

/** For multiples of five bytes, which need no padding. */
function base32(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 5) {
    const five = BigInt(`0x${bytes.toString('hex', at, at + 5)}`)
    for (let shift = 35n; shift >= 0n; shift -= 5n) text += LETTERS[Number((five >> shift) & 31n)]
  }
  return text
}

function bytesOf(letters: string): Buffer {
  const eights = letters.match(/.{8}/g) ?? []
  const hex = eights.map((eight) => {
    let five = 0n
    for (const letter of eight) five = (five << 5n) | BigInt(LETTERS.indexOf(letter))
    return five.toString(16).padStart(10, '0')
  })
  return Buffer.from(hex.join(''), 'hex')
}
