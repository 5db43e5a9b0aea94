import {readFile} from 'node:fs/promises'
import {agentKeys} from './agent-keys.js'
import {keyTypeOf} from './known-hosts.js'
import {publicPartOfPrivateKey} from './private-key.js'
import {readSshConfig} from './ssh-config-file.js'
import {parseSshConfig} from './ssh-options.js'
import {resolveTarget, type TargetContext} from './ssh-target.js'

/** The sessions that follow tell what of the configuration is not followed. */
const silent = () => {}

/** Vendors attach keys one by one. */
const MOST = 8

/**
 * The public keys a new machine shall let in, as one line each: of the keys that `ssh` would offer a host it has no own settings
 * for. With `given` these alone; else the files of `Host *` or the usual ones, then what the agent holds; eight at most.
 */
export async function findPublicKeys(
  {env, given = [], home}: Pick<TargetContext, 'env' | 'given' | 'home'>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const config = parseSshConfig(await readSshConfig(home, silent))
  const target = resolveTarget('new-machine', {config, env, given, home, notice: silent})
  if (target.kind === 'local') return []
  const {agentSocket, files, only} = target.identities
  const blobs: Buffer[] = []
  for (const file of given.length > 0 ? given : files) {
    const blob = await publicKeyOf(file)
    if (blob) blobs.push(blob)
  }
  if (given.length === 0 && !only && agentSocket !== undefined)
    blobs.push(...(await agentKeys(agentSocket, signal)))
  const lines = blobs.map((blob) => `${keyTypeOf(blob)} ${blob.toString('base64')}`)
  return [...new Set(lines)].slice(0, MOST)
}

/** From the file beside a private key, or from the key itself where it tells its public half. */
async function publicKeyOf(file: string): Promise<Buffer | undefined> {
  const beside = await textOf(file.endsWith('.pub') ? file : `${file}.pub`)
  const [type, base64 = ''] = beside?.toString('latin1').trim().split(/\s+/) ?? []
  const blob = Buffer.from(base64, 'base64')
  if (blob.length > 0 && keyTypeOf(blob) === type) return blob
  const text = await textOf(file)
  return text && publicPartOfPrivateKey(text)
}

/** A key that cannot be read is not offered by ssh either. */
async function textOf(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch(() => undefined)
}
