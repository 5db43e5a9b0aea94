import {DumontError} from '../lib/errors.js'
import {answered} from './answered.js'

/** Questions go to stderr, because stdout is for results. */
function context(signal: AbortSignal | undefined): object {
  return {output: process.stderr, ...(signal && {signal})}
}

export interface HostKeyQuestion {
  readonly fingerprint: string
  readonly keyType: string
  readonly label: string
}

export async function askHostKey(
  {fingerprint, keyType, label}: HostKeyQuestion,
  signal?: AbortSignal,
): Promise<boolean> {
  const message = `${label} is not known. Its ${keyType} key is ${fingerprint}. Trust it from now on?`
  return askYes(message, signal)
}

/** Empty leaves the key out. */
export async function askPassphrase(
  file: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const {password} = await import('@inquirer/prompts')
  const answer = await answered(password({message: `Passphrase of ${file}`}, context(signal)))
  return answer === '' ? undefined : answer
}

export async function askYes(message: string, signal?: AbortSignal): Promise<boolean> {
  const {confirm} = await import('@inquirer/prompts')
  return answered(confirm({default: false, message}, context(signal)))
}

/** How a command gets a yes: by --yes, by asking on a terminal, else not at all (USAGE). */
export function confirmation(
  yes: boolean,
  json: boolean,
  signal?: AbortSignal,
): (question: string) => Promise<boolean> {
  if (yes) return async () => true
  if (!process.stdin.isTTY || !process.stderr.isTTY || json)
    throw new DumontError('USAGE', 'this needs a yes, and there is no terminal to ask on', {
      hint: 'add --yes',
    })
  return (question) => askYes(question, signal)
}
