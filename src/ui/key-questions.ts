import {randomInt} from 'node:crypto'
import {nameOfSlot} from '../lib/keys/slot-name.js'
import type {Slot} from '../lib/seal/slot.js'
import {answered} from './answered.js'

/** How often a group may be mistyped. */
const SLIPS = 3

/** A passphrase or recovery text; undefined for none. Nothing of it is shown. */
export async function askKey(
  slots: readonly Slot[],
  attempt: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const wanted = slots.some(({kind}) => kind === 'passphrase')
    ? 'Passphrase or recovery text'
    : 'Recovery text'
  if (attempt === 1) process.stderr.write(`It is opened by ${slots.map(nameOfSlot).join(', ')}.\n`)
  else process.stderr.write('That opens none of them.\n')
  return askHidden(`${wanted} of the store (empty to give up)`, signal)
}

/** Words for a new slot, typed twice; undefined for none. */
export async function askNewPassphrase(signal: AbortSignal): Promise<string | undefined> {
  const words = await askHidden('New passphrase (empty to give up)', signal)
  if (words === '') return undefined
  for (let slip = 0; slip < SLIPS; slip += 1)
    if ((await askHidden('The same again', signal)) === words) return words
  return undefined
}

/** Shows a recovery text this once, and has two of its groups typed from what was written down. */
export async function confirmRecovery(
  groups: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const {confirm, input} = await import('@inquirer/prompts')
  const context = {output: process.stderr, signal}
  process.stderr.write(
    'Only a key opens this store; when all its keys are lost, so is everything in it.\nA recovery text on paper, or in a password manager, opens it from anywhere.\n',
  )
  const message = 'Show the recovery text now, this once?'
  if (!(await answered(confirm({default: true, message}, context)))) return false
  process.stderr.write(`\n  dumont-key-${groups.slice(0, 4).join('-')}-\n`)
  process.stderr.write(`             ${groups.slice(4).join('-')}\n\n`)
  for (const index of twoOf(groups.length)) {
    const question = `Group ${index + 1} of what you wrote down (empty to give up)`
    if (!(await isTyped(() => answered(input({message: question}, context)), groups[index])))
      return false
  }
  return true
}

async function isTyped(ask: () => Promise<string>, group: string | undefined): Promise<boolean> {
  for (let slip = 0; slip < SLIPS; slip += 1) {
    const typed = (await ask()).trim().toLowerCase()
    if (typed === '') return false
    if (typed === group) return true
    process.stderr.write('That is not what stands there.\n')
  }
  return false
}

function twoOf(count: number): readonly number[] {
  const first = randomInt(count)
  return [first, (first + 1 + randomInt(count - 1)) % count].toSorted((a, b) => a - b)
}

async function askHidden(message: string, signal: AbortSignal): Promise<string> {
  const {password} = await import('@inquirer/prompts')
  return answered(password({message}, {output: process.stderr, signal}))
}
