import {DumontError} from '../errors.js'
import {addKnownHost} from './known-hosts-file.js'
import {fingerprint, keyTypeOf, type Verdict} from './known-hosts.js'
import type {SshTarget} from './ssh-target.js'

export interface HostKeyQuestion {
  /** `user@host:port`. */
  readonly label: string
  readonly keyType: string
  /** As OpenSSH prints it. */
  readonly fingerprint: string
}

/** What to do about a host nobody has met. A changed or revoked key is refused whatever this says. */
export interface HostKeyPolicy {
  readonly acceptNew: boolean
  /** Asks the operator; absent where nobody can answer. */
  readonly ask?: (question: HostKeyQuestion) => Promise<boolean>
}

export interface Refusal {
  readonly key: Buffer
  readonly verdict: Exclude<Verdict, {kind: 'known'}>
}

/**
 * Decides about a key the known_hosts files did not vouch for: returns normally when it is to be trusted from now on, and
 * has then been added to the first file. Errors: HOST_KEY_UNKNOWN, HOST_KEY_CHANGED (also for revoked keys).
 */
export async function decideHostKey(
  target: SshTarget,
  {key, verdict}: Refusal,
  policy: HostKeyPolicy,
  notice: (text: string) => void,
): Promise<void> {
  if (verdict.kind !== 'unknown') throw refused(target, key, verdict)
  const question = {fingerprint: fingerprint(key), keyType: keyTypeOf(key), label: target.label}
  const accepted =
    policy.acceptNew ||
    target.knownHosts.acceptNew === true ||
    (await policy.ask?.(question)) === true
  if (!accepted) throw unknown(target, key, verdict.authority, policy.ask !== undefined)
  const file = target.knownHosts.user[0]
  if (file === undefined) return
  try {
    await addKnownHost(file, target.keyName, key)
    notice(`${target.label}: host key ${question.fingerprint} added to ${file}`)
  } catch (cause) {
    notice(`${target.label}: host key accepted for this run only; ${(cause as Error).message}`)
  }
}

function unknown(target: SshTarget, key: Buffer, authority: boolean, asked: boolean): DumontError {
  const shown = `${keyTypeOf(key)} ${fingerprint(key)}`
  const reason = asked ? 'the key was not accepted' : `its key ${shown} is in no known_hosts file`
  const certificates = authority ? '; @cert-authority entries are not supported' : ''
  return new DumontError(
    'HOST_KEY_UNKNOWN',
    `${target.label} is not known: ${reason}${certificates}`,
    {
      hint: `compare ${fingerprint(key)} with the provider's console, then run again with --accept-new-host-key`,
    },
  )
}

function refused(
  target: SshTarget,
  key: Buffer,
  verdict: Exclude<Refusal['verdict'], {kind: 'unknown'}>,
): DumontError {
  const {file, line} = verdict.entry
  const shown = `${keyTypeOf(key)} ${fingerprint(key)}`
  if (verdict.kind === 'revoked') {
    return new DumontError(
      'HOST_KEY_CHANGED',
      `${target.label} presents ${shown}, which ${file} line ${line} marks as revoked`,
      {
        hint: 'do not connect to this machine with this key; ask whoever revoked it',
      },
    )
  }
  const before = `${verdict.entry.keyType} ${fingerprint(verdict.entry.key)}`
  return new DumontError(
    'HOST_KEY_CHANGED',
    `${target.label} presents ${shown}, but ${file} line ${line} has ${before}`,
    {
      hint: `compare ${fingerprint(key)} with the provider's console; if the box really is new, run ssh-keygen -f ${file} -R '${target.keyName}' and connect again`,
    },
  )
}
