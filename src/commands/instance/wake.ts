import {Args, Flags, type Interfaces} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {parseAmount, sshFlags, storeFlags, transferFlags} from '../../flags.js'
import {openInstances} from '../../instance-operator.js'
import type {WakeRequest} from '../../lib/instances/wake-request.js'
import type {Settings} from '../../lib/settings/load-settings.js'
import {publicKeys} from '../../public-keys.js'
import {describeWake, rentQuestion, wakeAnswer} from '../../ui/describe-wake.js'
import {confirmation} from '../../ui/questions.js'

export default class InstanceWake extends BaseCommand {
  static override summary = 'Bring a hibernated instance or a snapshot back on a rented machine.'

  static override description = `Looks for offers like the old box, ranks them by what they cost in all, asks, rents the best, waits until it can be
reached and its GPUs work, restores, and runs the ready hook. A machine that fails before is given back and the next
offer taken, three times at most. An instance that is only stopped is started. Whatever may still be billed is named.
Interrupted, the same command goes on with what it rented.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> 12345',
    '<%= config.bin %> <%= command.id %> 12345 --max-price 0.60 --max-spend 1 --ready-hook "systemctl start train" --yes',
    '<%= config.bin %> <%= command.id %> 12345 --snapshot 20261123T1402 --fork --count 3 --dry-run',
    '<%= config.bin %> <%= command.id %> 20261123T1402 --host root@gpu2',
  ]

  static override usage = '<%= command.id %> ID [flags]'

  static override args = {
    id: Args.string({
      description: 'an instance, or a snapshot: the beginning of its id, or latest:LABEL',
      required: true,
    }),
  }

  static override flags = {
    'dry-run': Flags.boolean({default: false, summary: 'find offers and tell; rent nothing'}),
    yes: Flags.boolean({char: 'y', default: false, summary: 'do not ask before renting'}),
    host: Flags.string({helpValue: 'HOST', summary: 'restore onto this machine; rent none'}),
    // Without defaults: one that is set would ask for what it depends on.
    overwrite: Flags.boolean({
      dependsOn: ['host'],
      summary: 'with --host: also where something is already',
    }),
    gpu: Flags.string({helpValue: 'NAME', summary: 'another GPU than before, e.g. "RTX 4090"'}),
    region: Flags.string({helpValue: 'REGION', summary: 'only offers from there'}),
    image: Flags.string({helpValue: 'IMAGE', summary: 'another image than before'}),
    'max-price': Flags.string({
      helpValue: 'USD',
      summary: 'most for an hour of one machine [default: 1.25 times the old price]',
    }),
    'max-spend': Flags.string({
      helpValue: 'USD',
      summary: 'most for all machines and tries until all is ready, traffic included',
    }),
    spot: Flags.boolean({
      dependsOn: ['bid'],
      summary: 'an interruptible machine [default: what the old box was]',
    }),
    bid: Flags.string({dependsOn: ['spot'], helpValue: 'USD', summary: 'what to bid for an hour'}),
    hours: Flags.integer({
      helpValue: 'N',
      max: 8760,
      min: 1,
      summary: 'how long it will be used, for the ranking [default: 8]',
    }),
    count: Flags.integer({
      default: 1,
      helpValue: 'N',
      max: 32,
      min: 1,
      summary: 'so many machines at the same time',
    }),
    snapshot: Flags.string({helpValue: 'ID', summary: 'another snapshot than the recorded one'}),
    fork: Flags.boolean({
      default: false,
      summary: 'a second copy beside one that lives; it gets a lineage of its own',
    }),
    'env-file': Flags.string({
      helpValue: 'FILE',
      summary: 'values of the environment, a line NAME=value each; only a sealed store keeps any',
    }),
    'ready-hook': Flags.string({
      helpValue: 'CMD',
      summary: 'run on the box once all is restored; if it fails the box stays',
    }),
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<object> {
    const {args, flags} = await this.parse(InstanceWake)
    // Of the machine, not of the store and the transfer.
    const settingFlags = {...flags, gpu: undefined, region: undefined}
    const operator = await openInstances(this, settingFlags, {
      areNew: true,
      writes: !flags['dry-run'],
    })
    const {settings} = operator
    const {exitCodeOfWake, wake} = await import('../../lib/instances/wake.js')
    const {findWakeAccount} = await import('../../lib/instances/wake-account.js')
    const {openWakeParts} = await import('../../lib/instances/wake-parts.js')
    const env = await this.valuesOf(flags['env-file'])
    const isRenting = flags.host === undefined && !flags['dry-run']
    const keys = isRenting ? await publicKeys(flags, this.signal) : []
    const request: WakeRequest = {
      ...requestOf(flags, settings),
      confirm: (plan) => {
        const ask = confirmation(flags.yes, this.jsonEnabled(), this.signal)
        return operator.whileAsking(() => ask(rentQuestion(plan)))
      },
      env,
      publicKeys: keys,
      what: args.id,
    }
    const result = await operator.use(async (box) => {
      const {standard} = settings.providers
      const hint = {standard: standard ?? (flags.host === undefined ? 'vast' : 'ssh')} as const
      const {provider, what} = await findWakeAccount(args.id, hint, box.store, this.signal)
      const service = await operator.account(box, provider)
      return wake({...request, what}, {parts: openWakeParts(service), service}, this.signal)
    })
    const ids = result.machines.map(({instance: {id, provider}}) => `${provider}:${id}`)
    this.finish(this.isQuiet ? ids.join('\n') : describeWake(result, operator.keysOf), false)
    process.exitCode = exitCodeOfWake(result)
    return wakeAnswer(result)
  }

  private async valuesOf(file: string | undefined): Promise<WakeRequest['env']> {
    if (file === undefined) return {}
    const {readEnvFile} = await import('../../lib/settings/env-file.js')
    const {isOpen, values} = await readEnvFile(file)
    if (isOpen) this.warnOf(`warning: others on this machine can read ${file}: chmod 600 ${file}`)
    return values
  }
}

type Flagged = Interfaces.InferredFlags<typeof InstanceWake.flags>

function requestOf(
  flags: Flagged,
  {memory, parts = PARTS}: Settings,
): Omit<WakeRequest, 'confirm' | 'env' | 'publicKeys' | 'what'> {
  const {bid, gpu, host, hours, image, region, snapshot} = flags
  const most = {hourly: flags['max-price'], spend: flags['max-spend']}
  return {
    count: flags.count,
    dryRun: flags['dry-run'],
    fork: flags.fork,
    overwrite: flags.overwrite ?? false,
    restore: {parts, ...(memory === undefined ? {} : {memory})},
    ...(bid === undefined ? {} : {market: {kind: 'spot', bid: parseAmount('bid', bid)}}),
    ...(flags['ready-hook'] === undefined ? {} : {readyHook: flags['ready-hook']}),
    ...(most.hourly === undefined ? {} : {maxHourly: parseAmount('max-price', most.hourly)}),
    ...(most.spend === undefined ? {} : {maxSpend: parseAmount('max-spend', most.spend)}),
    ...(gpu === undefined ? {} : {gpu}),
    ...(host === undefined ? {} : {host}),
    ...(hours === undefined ? {} : {hours}),
    ...(image === undefined ? {} : {image}),
    ...(region === undefined ? {} : {region}),
    ...(snapshot === undefined ? {} : {snapshot}),
  }
}

const PARTS = 32
