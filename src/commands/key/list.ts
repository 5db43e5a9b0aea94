import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import type {SlotSurvey} from '../../lib/keys/slot-survey.js'
import {openOperator} from '../../operator.js'
import {describeSlots, slotWarnings} from '../../ui/describe-keys.js'

export default class KeyList extends BaseCommand {
  static override summary = 'List what opens the store.'

  static override description = `Every slot with its kind, label and date, and whether something on this machine opens it. Nothing is asked.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --store s3://bucket/prefix --json',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {...storeFlags}

  async run(): Promise<SlotSurvey> {
    const {flags} = await this.parse(KeyList)
    const operator = await openOperator(this, flags, {closed: true, hosts: [], steps: []})
    const [{readKeys}, {surveySlots}] = await Promise.all([
      import('../../lib/keys/opened-keys.js'),
      import('../../lib/keys/slot-survey.js'),
    ])
    const {keyPlace} = operator
    const survey = await operator.use(async ({store}) =>
      surveySlots(await readKeys(store, keyPlace, this.signal), keyPlace),
    )
    for (const line of slotWarnings(survey)) this.say(line)
    this.finish(describeSlots(survey), false)
    return survey
  }
}
