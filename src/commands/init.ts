import path from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../base-command.js'
import {newStoreFlags} from '../flags.js'
import {systemClock} from '../lib/clock.js'
import type {ProgressEvent} from '../lib/progress/events.js'
import {openConfigTarget} from '../lib/settings/config-target.js'
import {processEnvironment} from '../lib/settings/environment.js'
import {keySettings} from '../lib/settings/key-settings.js'
import {environmentLayer, flagLayer, overlay} from '../lib/settings/layers.js'
import {directoriesOf, homeOf} from '../lib/settings/xdg.js'
import {chooseAnswers} from '../lib/setup/choose-answers.js'
import {setUpStore, type SetupReport, type SetupRequest} from '../lib/setup/set-up-store.js'
import {beginningOf, keyPlace} from '../unlocking.js'
import {describeSetup} from '../ui/describe-setup.js'

export default class Init extends BaseCommand {
  static override summary = 'Choose where snapshots are kept, try it, and write the configuration.'

  static override description = `Asks for the store on a terminal; in scripts the flags say it. The store is tried the way every later command uses it:
objects are created only once, uploads are held to their checksum, clocks agree. A new store is encrypted: its key is
kept on this machine, and a recovery text opens it when this machine is gone. Only then the configuration file is
written, for its owner alone; other profiles in it are kept. The secret access key never stands on the command line.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --yes --store file:///backup/dumont',
    '<%= config.bin %> <%= command.id %> --yes --r2-account 0123456789abcdef0123456789abcdef --bucket snapshots --access-key-id ID --secret-access-key-file key.txt',
    'pass r2/secret | <%= config.bin %> <%= command.id %> --yes --profile r2 --endpoint https://s3.example.com --bucket snapshots --access-key-id ID --secret-access-key-file -',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {
    store: Flags.string({helpValue: 'URL', summary: 'file:///path or s3://bucket/prefix'}),
    bucket: Flags.string({helpValue: 'NAME', summary: 'bucket, instead of --store'}),
    prefix: Flags.string({helpValue: 'PREFIX', summary: 'prefix in the bucket'}),
    endpoint: Flags.string({helpValue: 'URL', summary: 'address of an S3-compatible service'}),
    region: Flags.string({
      helpValue: 'REGION',
      summary: 'region of the bucket [default: auto for R2, else us-east-1]',
    }),
    'r2-account': Flags.string({
      helpValue: 'ID',
      summary: 'Cloudflare account id, instead of --endpoint',
    }),
    jurisdiction: Flags.string({
      options: ['default', 'eu', 'fedramp'],
      summary: 'jurisdiction of an R2 bucket',
    }),
    'access-key-id': Flags.string({
      helpValue: 'ID',
      summary: 'access key id to write into the configuration',
    }),
    'secret-access-key-file': Flags.string({
      helpValue: 'FILE',
      summary:
        'where its secret is; - for stdin [default: DUMONT_SECRET_ACCESS_KEY, AWS_SECRET_ACCESS_KEY]',
    }),
    profile: Flags.string({
      helpValue: 'NAME',
      summary: 'write a named profile instead of the top level',
    }),
    config: Flags.string({
      helpValue: 'FILE',
      summary: 'configuration file [default: config.json of the user]',
    }),
    yes: Flags.boolean({
      char: 'y',
      summary: 'ask nothing; replace what the file says of this profile',
    }),
    ...newStoreFlags,
  }

  async run(): Promise<SetupReport> {
    const {flags} = await this.parse(Init)
    const env = processEnvironment()
    const directories = directoriesOf(env)
    const target = await openConfigTarget(
      path.resolve(flags.config ?? path.join(directories.config, 'config.json')),
    )
    const canAsk = !flags.yes && !this.jsonEnabled() && process.stdin.isTTY && process.stderr.isTTY
    const {askOnTerminal} = await import('../ui/store-questions.js')
    const answers = await chooseAnswers({
      env,
      flags,
      stdin: process.stdin,
      standardDirectory: path.join(directories.data, 'store'),
      target,
      ...(canAsk && {interviewer: askOnTerminal(this.signal)}),
    })
    const {profile} = flags
    const notes: string[] = []
    const request = {
      answers,
      begin: this.beginner(flags, notes),
      clock: systemClock,
      env,
      target,
      ...(profile !== undefined && {profile}),
    }
    const set = await setUpStore(request, this.signal)
    const report = {...set, notes: [...set.notes, ...notes]}
    this.log(describeSetup(report))
    return report
  }

  /** A new store gets its keys, or one with keys is opened. */
  private beginner(
    flags: {readonly encryption: boolean | undefined; readonly yes: boolean},
    notes: string[],
  ): NonNullable<SetupRequest['begin']> {
    const env = processEnvironment()
    const home = homeOf(env)
    const layer = overlay([flagLayer({encryption: flags.encryption}), environmentLayer(env)])
    const settings = {
      directories: directoriesOf(env),
      keys: keySettings(layer, {cwd: process.cwd(), env, home}),
    }
    const view = {
      report: (event: ProgressEvent) => {
        if (event.kind === 'note') notes.push(event.message)
      },
      whileAsking: <T>(ask: () => Promise<T>) => ask(),
    }
    return async (store, location, signal) => {
      const {openKeyedStore} = await import('../lib/keys/open-keyed.js')
      const {sources, ...place} = keyPlace(this, {...settings, store: location}, view)
      const {ask: _, ...silent} = sources
      const {recovery, ...wish} = beginningOf(this, flags, settings, view)
      const isSilent = flags.yes && recovery && 'confirm' in recovery
      const beginning = {...wish, ...(recovery && !isSilent && {recovery})}
      const {repository} = await openKeyedStore(
        store,
        {...place, sources: flags.yes ? silent : sources},
        beginning,
        signal,
      )
      if (!repository) throw new Error('a store that was to be made is not there')
      return repository
    }
  }
}
