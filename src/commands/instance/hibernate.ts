import {posix} from 'node:path'
import {Args, Flags, type Interfaces} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {
  codecFlags,
  gpuFlags,
  newStoreFlags,
  parityFlags,
  parseDuration,
  parseShare,
  savingFlags,
  sshFlags,
  storeFlags,
  transferFlags,
} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import {codecToEnd} from '../../lib/instances/hibernate-codec.js'
import type {HibernateRequest} from '../../lib/instances/hibernate-request.js'
import {INSTANCE_FORMS, parseInstanceAddress} from '../../lib/providers/instance-address.js'
import type {Settings} from '../../lib/settings/load-settings.js'
import type {VerifyLevel} from '../../lib/snapshots/verify-snapshot.js'
import {openInstances} from '../../instance-operator.js'
import {describeHibernate, endQuestion, hibernateAnswer} from '../../ui/describe-hibernate.js'
import {confirmation} from '../../ui/questions.js'

export default class InstanceHibernate extends BaseCommand {
  static override summary = 'Save an instance, prove it, and then stop or destroy it if asked to.'

  static override description = `Takes a snapshot, takes increments until nothing changes any more, and looks at the whole instance: what lies outside the
saved paths, who still writes, and whether every pack is in the store and decodes to what the box's own tools see. Only
what is proven so is ended, with --destroy or --stop, and only after everything was looked at again. No flag skips this.
Interrupted, the same command goes on, here or on another machine.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> 12345',
    '<%= config.bin %> <%= command.id %> 12345 --destroy --stop-processes --yes',
    '<%= config.bin %> <%= command.id %> runpod:k3f9qz --destroy --path /workspace --path /root/data --discard /root/.cache',
  ]

  static override usage = '<%= command.id %> ID [flags]'

  static override args = {
    id: Args.string({description: INSTANCE_FORMS, required: true}),
  }

  static override flags = {
    destroy: Flags.boolean({
      default: false,
      exclusive: ['stop'],
      summary: 'destroy it once it is proven; asks first',
    }),
    stop: Flags.boolean({default: false, summary: 'stop it once it is proven; asks first'}),
    yes: Flags.boolean({char: 'y', default: false, summary: 'do not ask'}),
    host: Flags.string({
      helpValue: 'HOST',
      summary: 'reach it here instead of where its vendor says; it must be the same box',
    }),
    ...savingFlags,
    'pre-hook': Flags.string({
      helpValue: 'CMD',
      summary: 'run on the box before the snapshot; if it fails nothing happens',
    }),
    'post-hook': Flags.string({
      helpValue: 'CMD',
      summary: 'run on the box afterwards if it lives on, whatever happened',
    }),
    level: Flags.option({
      default: 'decoded',
      options: ['listed', 'stored', 'decoded'] as const satisfies readonly VerifyLevel[],
      summary: 'how far the proof of the snapshot goes',
    })(),
    sample: Flags.string({
      default: '5%',
      helpValue: 'SHARE',
      summary: 'share that is read back, at most 1 GiB',
    }),
    discard: Flags.string({
      helpValue: 'PATH',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'what lies here may be lost; absolute, kept in the record',
    }),
    'stop-processes': Flags.boolean({
      default: false,
      exclusive: ['freeze'],
      summary: 'end what writes in the paths or holds GPU memory',
    }),
    freeze: Flags.boolean({
      default: false,
      summary: 'halt everything but SSH for the last increment; it goes on if the box lives on',
    }),
    'max-wait': Flags.string({
      default: '10m',
      helpValue: 'DURATION',
      summary: 'how long the workspace may go on changing',
    }),
    'accept-gpu-only': Flags.boolean({
      default: false,
      summary: 'end it although only an NVIDIA GPU can decode its snapshot',
    }),
    ...codecFlags,
    ...parityFlags,
    ...gpuFlags,
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
    ...newStoreFlags,
  }

  async run(): Promise<object> {
    const {args, flags} = await this.parse(InstanceHibernate)
    const times = {
      maxWaitMs: parseDuration('max-wait', flags['max-wait']),
      sample: parseShare(flags.sample),
    }
    const ends = flags.destroy || flags.stop
    const ask = ends ? confirmation(flags.yes, this.jsonEnabled(), this.signal) : neverAsked
    // A box must not stay frozen, nor without its post-hook.
    if (flags.freeze || flags['post-hook'] !== undefined) this.graceMs = THAW_MS
    const operator = await openInstances(this, flags, {areNew: false, creates: true})
    const {settings} = operator
    // What only protects leaves two copies; what ends leaves this directory alone.
    const storeNamed = flags.store !== undefined || !ends
    if (settings.store.kind === 'directory' && !storeNamed) throw unnamedStore()
    const address = parseInstanceAddress(args.id, settings.providers.standard)
    if (!address)
      throw new DumontError('USAGE', `${args.id} is no instance`, {hint: `say ${INSTANCE_FORMS}`})
    const request: HibernateRequest = {
      ...requestOf(flags, settings),
      ...times,
      confirm: (question) => operator.whileAsking(() => ask(endQuestion(question))),
      id: address.id,
    }
    const {exitCodeOfHibernate, hibernate} = await import('../../lib/instances/hibernate.js')
    const {openHibernateParts} = await import('../../lib/instances/hibernate-parts.js')
    const outcome = await operator.use(async (box) => {
      const service = await operator.account(box, address.provider)
      const parts = openHibernateParts(service, {
        acceptGpuOnly: flags['accept-gpu-only'],
        lifecycleAcknowledged: settings.lifecycleAcknowledged ?? false,
        storeNamed,
        survives: settings.survives ?? [],
      })
      return hibernate(request, {parts, service}, this.signal)
    })
    this.finish(this.isQuiet ? outcome.snapshot.id : describeHibernate(outcome), false)
    process.exitCode = exitCodeOfHibernate(outcome)
    return hibernateAnswer(outcome)
  }
}

type Flagged = Interfaces.InferredFlags<typeof InstanceHibernate.flags>

function requestOf(
  flags: Flagged,
  settings: Settings,
): Omit<HibernateRequest, 'confirm' | 'id' | 'maxWaitMs' | 'sample'> {
  const {discard = [], host, name, path: paths = [], 'post-hook': after, 'pre-hook': before} = flags
  return {
    busy: flags.freeze ? 'freeze' : flags['stop-processes'] ? 'stop' : 'refuse',
    discard: discard.map((path) => absolute('discard', path)),
    goal: flags.destroy ? 'destroy' : flags.stop ? 'stop' : 'protect',
    level: flags.level,
    snapshot: {
      acceptRollback: false,
      codec: codecToEnd(settings.codec, flags['accept-gpu-only']),
      crossMounts: flags['cross-mounts'],
      delta: (settings.delta ?? 'auto') !== 'off',
      excludeCaches: settings.excludeCaches ?? false,
      excludes: settings.exclude ?? [],
      level: ZSTD_LEVEL,
      parity: settings.parity ?? 0,
      parts: settings.parts ?? PARTS,
      paths: paths.map((path) => absolute('path', path)),
      ...(settings.memory === undefined ? {} : {memory: settings.memory}),
      ...(name === undefined ? {} : {name}),
    },
    ...(host === undefined ? {} : {host}),
    ...(after === undefined ? {} : {postHook: after}),
    ...(before === undefined ? {} : {preHook: before}),
  }
}

function absolute(flag: string, path: string): string {
  if (path.startsWith('/')) return posix.normalize(path)
  throw new DumontError('USAGE', `--${flag} ${path} is not absolute`, {
    hint: 'paths are those of the box',
  })
}

function unnamedStore(): DumontError {
  return new DumontError(
    'USAGE',
    'the store is a directory of this machine, which then holds the only copy',
    {hint: 'name it on this command with --store, or use a bucket'},
  )
}

const THAW_MS = 120_000
const PARTS = 32
const ZSTD_LEVEL = 3
const neverAsked = async (): Promise<boolean> => false
