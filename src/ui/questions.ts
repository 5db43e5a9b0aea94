import type {HostKeyQuestion} from '../lib/remote/host-key-policy.js'

/** Questions go to stderr, because stdout is for results. */
const context = {output: process.stderr}

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
