import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {snapshotArgs, sshFlags, storeFlags, transferFlags} from '../../flags.js'
import {formatBytes} from '../../lib/bytes.js'
import type {TranscodeSummary} from '../../lib/snapshots/transcode-snapshot.js'
import {openOperator} from '../../operator.js'

export default class SnapshotTranscode extends BaseCommand {
  static override summary = 'Make a snapshot that needs a GPU restorable anywhere.'

  static override description = `Chunks that NVIDIA's nvCOMP has coded (ANS) are decoded on a box with a GPU and stored again as zstd, in a new snapshot of
the same content at the same place of its lineage. What needs no GPU is not sent again. The old snapshot stays until it
is deleted.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> latest:train-a --host root@1.2.3.4:22',
  ]

  static override usage = '<%= command.id %> ID --host HOST [flags]'
  static override args = snapshotArgs

  static override flags = {
    host: Flags.string({
      helpValue: 'HOST',
      required: true,
      summary: 'a box with an NVIDIA GPU: user@host:port, a name of ~/.ssh/config, or local',
    }),
    name: Flags.string({helpValue: 'LABEL', summary: 'the lineage that latest means'}),
    ...transferFlags,
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<TranscodeSummary> {
    const {args, flags} = await this.parse(SnapshotTranscode)
    const operator = await openOperator(this, flags, {
      hosts: [flags.host],
      steps: ['open-store', 'connect', 'equip', 'transfer', 'verify', 'commit'],
      writes: true,
    })
    const {transcodeSnapshot} = await import('../../lib/snapshots/transcode-snapshot.js')
    const summary = await operator.use((service, settings) =>
      transcodeSnapshot(
        {
          host: flags.host,
          level: ZSTD_LEVEL,
          parts: settings.parts ?? PARTS,
          snapshot: args.id,
          ...(settings.memory === undefined ? {} : {memory: settings.memory}),
          ...(flags.name === undefined ? {} : {label: flags.name}),
        },
        service,
        this.signal,
      ),
    )
    const {id, newBytes, of, storedBytes} = summary
    const lines = [
      id,
      `${formatBytes(newBytes)} stored as ${formatBytes(storedBytes)}; it restores anywhere`,
      `${of} can be deleted now: dumont snapshot delete ${of}`,
    ]
    this.finish(this.isQuiet ? id : lines.join('\n'), false)
    return summary
  }
}

const PARTS = 32
const ZSTD_LEVEL = 3
