import {DumontError} from '../lib/errors.js'

/** Questions go to stderr, because stdout is for results. */
const context = {output: process.stderr}

export interface HostKeyQuestion {
  readonly fingerprint: string
  readonly keyType: string
  readonly label: string
}

export async function askHostKey({fingerprint, keyType, label}: HostKeyQuestion): Promise<boolean> {
  const message = `${label} is not known. Its ${keyType} key is ${fingerprint}. Trust it from now on?`
  return askYes(message)
}

/** Empty leaves the key out. */
export async function askPassphrase(file: string): Promise<string | undefined> {
  const {password} = await import('@inquirer/prompts')
  const answer = await password({message: `Passphrase of ${file}`}, context)
  return answer === '' ? undefined : answer
}

export async function askYes(message: string): Promise<boolean> {
  const {confirm} = await import('@inquirer/prompts')
  return confirm({default: false, message}, context)
}

/** How a command gets a yes: by --yes, by asking on a terminal, else not at all (USAGE). */
export function confirmation(yes: boolean, json: boolean): (question: string) => Promise<boolean> {
  if (yes) return async () => true
  if (!process.stdin.isTTY || !process.stderr.isTTY || json)
    throw new DumontError('USAGE', 'this needs a yes, and there is no terminal to ask on', {
      hint: 'add --yes',
    })
  return askYes
}
