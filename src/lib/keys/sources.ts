import {DumontError} from '../errors.js'
import {parseSecretText} from '../seal/secret-text.js'
import type {Secret, Slot} from '../seal/slot.js'
import {keyFileOf, readPassphraseFile, readSecretFile} from './secret-file.js'

/** Where a key to a store may be on this machine, in the order in which they are tried. */
export interface KeySources {
  /** Named by flag, environment or configuration: it must be there. */
  readonly keyFile?: {readonly path: string; readonly named: string}
  /** Secret text of `DUMONT_KEY`. */
  readonly text?: string
  /** Of `DUMONT_PASSPHRASE`. */
  readonly passphrase?: string
  readonly passphraseFile?: {readonly path: string; readonly named: string}
  /** Directory of this machine's key files. */
  readonly directory: string
  /** A passphrase or recovery text from whoever sits here; undefined for none. */
  readonly ask?: (slots: readonly Slot[], attempt: number) => Promise<string | undefined>
}

/** One key that is at hand. */
export interface AtHand {
  /** For messages: `--key-file /path`, `DUMONT_KEY`. Never the key. */
  readonly what: string
  readonly secret: Secret
  /** The file it was read from. */
  readonly file?: string
  /** Whether that file is this machine's own. */
  readonly isOwn?: boolean
}

/** The keys at hand, read one by one; rejects with KEY for one that was named and is none. */
export async function* keysAtHand(
  sources: KeySources,
  repository: string,
): AsyncGenerator<AtHand, void> {
  const {directory, keyFile, passphrase, passphraseFile, text} = sources
  if (keyFile) {
    const what = keyFile.named
    const bytes = await readSecretFile(keyFile.path)
    if (!bytes) throw new DumontError('KEY', `the key file ${keyFile.path} is not there (${what})`)
    yield {what, secret: {kind: 'drawn', bytes}, file: keyFile.path}
  }
  if (text !== undefined) {
    const bytes = parseSecretText(text)
    if (!bytes) throw new DumontError('KEY', 'DUMONT_KEY holds no key, or a letter is wrong')
    yield {what: 'DUMONT_KEY', secret: {kind: 'drawn', bytes}}
  }
  if (passphrase !== undefined)
    yield {what: 'DUMONT_PASSPHRASE', secret: {kind: 'passphrase', text: passphrase}}
  if (passphraseFile) {
    const words = await readPassphraseFile(passphraseFile.path)
    yield {what: passphraseFile.named, secret: {kind: 'passphrase', text: words}}
  }
  const own = keyFileOf(directory, repository)
  const bytes = await readSecretFile(own)
  if (bytes) yield {what: own, secret: {kind: 'drawn', bytes}, file: own, isOwn: true}
}

/** What was typed is a secret text when it reads as one, else a passphrase. */
export function typedSecret(text: string): Secret {
  const bytes = parseSecretText(text)
  return bytes ? {kind: 'drawn', bytes} : {kind: 'passphrase', text}
}
