import {Flags} from '@oclif/core'
import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {DumontError} from '../../lib/errors.js'
import {checkedTags} from '../../lib/snapshots/tags.js'
import {requireRule, type RetentionRules} from '../../lib/snapshots/retention.js'
import {openOperator} from '../../operator.js'
import {describePrune, pruneAnswer, questionOfPrune} from '../../ui/describe-prune.js'
import {confirmation} from '../../ui/questions.js'

const count = (what: string) =>
  Flags.integer({helpValue: 'N', min: 1, summary: `keep the newest of each of the last N ${what}`})

export default class SnapshotPrune extends BaseCommand {
  static override summary = 'Delete snapshots that no rule keeps.'

  static override description = `Rules add up: a snapshot stays when one of them keeps it. Times are the store's, in UTC; a period without a snapshot does
not count. Whatever the rules say, these stay: the newest of every lineage, the newest before a lineage shrank to less
than half, and what a hibernated instance would be woken from. As with delete, space is freed an hour later or after.`

  static override examples = [
    '<%= config.bin %> <%= command.id %> --keep-last 3 --keep-daily 7 --keep-weekly 4 --dry-run',
    '<%= config.bin %> <%= command.id %> --keep-within 14d --name train --yes',
  ]

  static override flags = {
    'keep-last': Flags.integer({helpValue: 'N', min: 1, summary: 'keep the newest N'}),
    'keep-hourly': count('hours'),
    'keep-daily': count('days'),
    'keep-weekly': count('weeks'),
    'keep-monthly': count('months'),
    'keep-yearly': count('years'),
    'keep-within': Flags.string({
      helpValue: '14d',
      summary: 'keep all of the last so many hours (h), days (d) or weeks (w) before the newest',
    }),
    'keep-tag': Flags.string({
      helpValue: 'TAG',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'keep all that have this tag',
    }),
    lineage: Flags.string({helpValue: 'ID', summary: 'only snapshots of this lineage'}),
    name: Flags.string({helpValue: 'LABEL', summary: 'only snapshots of this label'}),
    'dry-run': Flags.boolean({default: false, summary: 'say what would go; delete nothing'}),
    'accept-rollback': Flags.boolean({
      default: false,
      summary: 'go on though the store lost snapshots that were seen before',
    }),
    yes: Flags.boolean({default: false, char: 'y', summary: 'do not ask'}),
    ...storeFlags,
  }

  async run(): Promise<object> {
    const {flags} = await this.parse(SnapshotPrune)
    const rules = rulesOf(flags)
    requireRule(rules)
    const isDry = flags['dry-run']
    const ask = isDry ? async () => false : confirmation(flags.yes, this.jsonEnabled(), this.signal)
    const operator = await openOperator(this, flags, {
      hosts: [],
      steps: [],
      writes: !flags['dry-run'],
    })
    const {pruneSnapshots} = await import('../../lib/snapshots/prune-snapshots.js')
    const {heldSnapshots, refuseHeld} = await import('../../lib/instances/held-snapshots.js')
    const result = await operator.use(async (service) =>
      pruneSnapshots(
        {
          confirm: async (plan) => {
            const going = plan.verdicts.filter(({reasons}) => reasons.length === 0)
            const ids = going.map(({snapshot}) => snapshot.id)
            const agreed = await operator.whileAsking(() => ask(questionOfPrune(plan)))
            // An instance may have been hibernated while the question stood.
            if (agreed) await refuseHeld(service.store, ids, this.signal)
            return agreed
          },
          acceptRollback: flags['accept-rollback'],
          dryRun: isDry,
          held: await heldSnapshots(service.store, this.signal),
          rules,
          ...(flags.name === undefined ? {} : {label: flags.name}),
          ...(flags.lineage === undefined ? {} : {lineage: flags.lineage}),
        },
        service,
        this.signal,
      ),
    )
    this.finish(describePrune(result), false)
    return pruneAnswer(result)
  }
}

const HOURS: Readonly<Record<string, number>> = {h: 1, d: 24, w: 168}

function rulesOf(flags: Readonly<Record<string, unknown>>): RetentionRules {
  const number = (name: string) => flags[`keep-${name}`] as number | undefined
  const text = flags['keep-within'] as string | undefined
  const [, amount, unit = ''] = /^(\d{1,5})([hdw])$/.exec(text ?? '') ?? []
  if (text !== undefined && amount === undefined)
    throw new DumontError('USAGE', `--keep-within ${text} is no duration`, {
      hint: 'say 48h, 14d or 8w',
    })
  const tags = checkedTags((flags['keep-tag'] ?? []) as string[])
  const rules = {
    tags: tags.length > 0 ? tags : undefined,
    last: number('last'),
    hourly: number('hourly'),
    daily: number('daily'),
    weekly: number('weekly'),
    monthly: number('monthly'),
    yearly: number('yearly'),
    within: amount === undefined ? undefined : Number(amount) * (HOURS[unit] ?? 0) * 3_600_000,
  }
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined))
}
