import {readFile} from 'node:fs/promises'

import {untrusted} from '../untrusted.js'
import {fingerprint} from './known-hosts.js'
import {publicPartOfPrivateKey} from './private-key.js'
import type {Identities} from './ssh-target.js'

/** What of ssh2 is needed to read keys; handed in by the one file that knows ssh2. */
export interface KeyTools {
  /** An Error, not a throw, when the text is no usable key. */
  readonly parseKey: (text: Buffer, passphrase?: string) => Error | ReadKey
  readonly agentKeys: (socket: string) => Promise<readonly ReadKey[]>
  /** An agent that offers this one key. */
  readonly agentWith: (socket: string, key: ReadKey) => unknown
}

export interface ReadKey {
  readonly comment: string
  readonly isPrivateKey: () => boolean
  readonly getPublicSSH: () => Buffer
}

export type KeyOffer =
  | {readonly type: 'agent'; readonly label: string; readonly agent: unknown}
  | {readonly type: 'publickey'; readonly label: string; readonly key: ReadKey}

export interface KeyQuestions {
  /** Undefined or empty: leave this key out. */
  readonly askPassphrase?: (file: string) => Promise<string | undefined>
  /** Passphrases that opened a file, kept by the caller for further connections of the same run. */
  readonly passphrases: Map<string, string>
  readonly notice: (text: string) => void
}

const PASSPHRASE_ATTEMPTS = 3
const ENCRYPTED = /encrypted .*no passphrase/i

/**
 * Keys to offer, in OpenSSH's order: named files the agent holds, then the agent's others, then files. A passphrase is
 * asked only when everything before was refused.
 */
export async function* offerKeys(
  identities: Identities,
  tools: KeyTools,
  questions: KeyQuestions,
): AsyncGenerator<KeyOffer> {
  const held = await readAgent(identities.agentSocket, tools, questions.notice)
  const files = await readFiles(identities, tools, questions.notice)
  const inAgent = (file: KeyFile) => held.find((key) => file.publicPart?.equals(key.getPublicSSH()))
  const named = files.map(inAgent).filter((key) => key !== undefined)
  for (const key of new Set(identities.only ? named : [...named, ...held])) {
    yield {
      agent: tools.agentWith(identities.agentSocket ?? '', key),
      label: agentLabel(key),
      type: 'agent',
    }
  }
  const left = files.filter((file) => inAgent(file) === undefined)
  for (const file of left) if (file.key?.isPrivateKey()) yield offerFile(file.path, file.key)
  for (const file of left.filter(({encrypted}) => encrypted)) {
    const key = await unlock(file, tools, questions)
    if (key !== undefined) yield offerFile(file.path, key)
  }
}

interface KeyFile {
  readonly path: string
  readonly text: Buffer
  readonly key: ReadKey | undefined
  readonly publicPart: Buffer | undefined
  readonly encrypted: boolean
}

async function readAgent(
  socket: string | undefined,
  {agentKeys}: KeyTools,
  notice: (text: string) => void,
): Promise<readonly ReadKey[]> {
  if (socket === undefined) return []
  try {
    return await agentKeys(socket)
  } catch (error) {
    notice(`the SSH agent at ${socket} does not answer: ${(error as Error).message}`)
    return []
  }
}

async function readFiles(
  {files, explicit}: Identities,
  tools: KeyTools,
  notice: (text: string) => void,
): Promise<KeyFile[]> {
  const read: KeyFile[] = []
  for (const path of files) {
    const text = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      if (explicit || cause.code !== 'ENOENT')
        notice(`key ${path} cannot be read: ${cause.message}`)
    })
    const file = text && (await readKeyFile(path, text, tools, notice))
    if (file) read.push(file)
  }
  return read
}

async function readKeyFile(
  path: string,
  text: Buffer,
  {parseKey}: KeyTools,
  notice: (text: string) => void,
): Promise<KeyFile | undefined> {
  const key = parseKey(text)
  if (!(key instanceof Error))
    return {encrypted: false, key, path, publicPart: key.getPublicSSH(), text}
  if (!ENCRYPTED.test(key.message)) {
    notice(`key ${path} cannot be used: ${key.message}`)
    return undefined
  }
  const beside = await readFile(`${path}.pub`).then(parseKey, () => undefined)
  const publicPart =
    beside === undefined || beside instanceof Error
      ? publicPartOfPrivateKey(text)
      : beside.getPublicSSH()
  return {encrypted: true, key: undefined, path, publicPart, text}
}

async function unlock(
  {path, text}: KeyFile,
  {parseKey}: KeyTools,
  {askPassphrase, notice, passphrases}: KeyQuestions,
): Promise<ReadKey | undefined> {
  for (let attempt = 0; attempt < PASSPHRASE_ATTEMPTS; attempt += 1) {
    const passphrase = passphrases.get(path) ?? (await askPassphrase?.(path))
    if (!passphrase) break
    const key = parseKey(text, passphrase)
    if (!(key instanceof Error)) {
      passphrases.set(path, passphrase)
      return key
    }
    passphrases.delete(path)
    notice(`key ${path} does not open with this passphrase`)
  }
  notice(`key ${path} is encrypted and was left out`)
  return undefined
}

function offerFile(path: string, key: ReadKey) {
  return {key, label: `${path} (${fingerprint(key.getPublicSSH())})`, type: 'publickey' as const}
}

function agentLabel(key: ReadKey): string {
  const comment =
    typeof key.comment === 'string' && key.comment !== '' ? `"${untrusted(key.comment, 80)}" ` : ''
  return `agent key ${comment}(${fingerprint(key.getPublicSSH())})`
}
