import {BaseCommand} from '../../base-command.js'
import {storeFlags} from '../../flags.js'
import {openInstances} from '../../instance-operator.js'
import type {InstanceSurvey} from '../../lib/instances/instance-survey.js'
import type {ProviderName} from '../../lib/providers/instance-address.js'
import type {ProviderSettings} from '../../lib/settings/provider-settings.js'
import {describeInstances} from '../../ui/describe-instances.js'

export default class InstanceList extends BaseCommand {
  static override summary = 'List instances: those that run, and those that are hibernated here.'

  static override description = `Asks every vendor for which there is a key, and the store. Each with what it costs, its last snapshot, and what would be
lost if it vanished now. What earlier commands left open is settled first.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  static override usage = '<%= command.id %> [flags]'

  static override flags = {...storeFlags}

  async run(): Promise<InstanceSurvey> {
    const {flags} = await this.parse(InstanceList)
    const operator = await openInstances(this, flags, {areNew: false})
    const {surveyInstances} = await import('../../lib/instances/instance-survey.js')
    const names = await vendorsIn(operator.settings.providers)
    const survey = await operator.use(async (box) => {
      const accounts = await Promise.all(names.map((name) => operator.account(box, name)))
      return surveyInstances(accounts, box, this.signal)
    })
    for (const failure of survey.failures) this.warnOf(`warning: ${failure}`)
    if (names.length === 0) this.say('no vendor has a key: only what is in the store is shown')
    if (survey.instances.length === 0) this.say('no instances')
    this.finish(describeInstances(survey, Date.now()), survey.failures.length > 0)
    return survey
  }
}

async function vendorsIn({instances, isKnown}: ProviderSettings): Promise<readonly ProviderName[]> {
  const vendors = ['vast', 'runpod', 'lambda'] as const
  const known = await Promise.all(vendors.map((vendor) => isKnown(vendor)))
  const own = Object.keys(instances).length > 0 ? (['ssh'] as const) : []
  return [...vendors.filter((_, index) => known[index]), ...own]
}
