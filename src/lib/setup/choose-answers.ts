import {DumontError} from '../errors.js'
import type {ConfigTarget} from '../settings/config-target.js'
import type {Environment} from '../settings/environment.js'
import {flagLayer} from '../settings/layers.js'
import {type Answers, answersOf, type InitFlags} from './answers.js'
import {interview, type Interviewer} from './interview.js'
import {findSecret} from './secret-source.js'

interface Choice {
  readonly flags: InitFlags & {
    readonly 'secret-access-key-file'?: string | undefined
    readonly profile?: string | undefined
    readonly yes?: boolean | undefined
  }
  readonly env: Environment
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly standardDirectory: string
  readonly target: ConfigTarget
  /** Absent where nobody can be asked. */
  readonly interviewer?: Interviewer
}

/** What is to be set up: from flags, the rest by asking where that is possible. Rejects with USAGE where it is not. */
export async function chooseAnswers(choice: Choice): Promise<Answers> {
  const {env, flags, interviewer, standardDirectory, stdin} = choice
  // Checked before anything is asked or read.
  flagLayer({profile: flags.profile})
  await agreeToReplace(choice)
  const given = answersOf(flags, await findSecret(flags['secret-access-key-file'], env, stdin))
  if (interviewer) return interview(given, standardDirectory, interviewer)
  if (given.store !== undefined) return given
  if (flags.yes && Object.keys(given).length === 0) return {store: standardDirectory}
  throw new DumontError('USAGE', 'there is nobody to ask which store to use', {
    hint: 'give --store file:///path, or --r2-account and --bucket, or --yes for a directory of this machine',
  })
}

async function agreeToReplace({flags, interviewer, target}: Choice): Promise<void> {
  if (flags.yes || !target.hasStore(flags.profile)) return
  const what =
    flags.profile === undefined ? target.file : `profile ${flags.profile} in ${target.file}`
  const answer = await interviewer?.choose(`${what} names a store already.`, [
    {value: 'keep', name: 'leave it as it is'},
    {value: 'replace', name: 'replace it'},
  ])
  if (answer === 'replace') return
  throw new DumontError('USAGE', `${what} names a store already, and it was left as it is`, {
    hint: 'replace it with --yes, or write another profile with --profile NAME',
  })
}
