import {Flags} from '@oclif/core'
import {BaseCommand} from '../base-command.js'
import {sshFlags, storeFlags} from '../flags.js'
import type {Finding} from '../lib/checkup/finding.js'
import {openOperator} from '../operator.js'
import {describeFindings} from '../ui/describe-findings.js'

export default class Doctor extends BaseCommand {
  static override summary = 'Look at configuration, store and boxes, and say what to mend.'

  static override description = `Everything is tried the way the other commands use it: the store with objects that are removed again, a box by starting
the worker there. Every finding that would stop a command comes with its remedy; the exit code is the one such a command
would end with.`

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --host root@1.2.3.4:22 --host root@5.6.7.8:22',
  ]

  static override flags = {
    host: Flags.string({
      helpValue: 'HOST',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'a box to look at as well',
    }),
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<{readonly findings: readonly Finding[]}> {
    const {flags} = await this.parse(Doctor)
    const hosts = flags.host ?? []
    const operator = await openOperator(this, flags, {
      closed: true,
      hosts,
      steps: [],
      story: true,
    })
    const [{checkSettings}, {checkStore}, {checkKeys}, {checkBox}, {exitCodeOfFindings}] =
      await Promise.all([
        import('../lib/checkup/check-settings.js'),
        import('../lib/checkup/check-store.js'),
        import('../lib/checkup/check-keys.js'),
        import('../lib/checkup/check-box.js'),
        import('../lib/checkup/finding.js'),
      ])
    const findings = await operator.use(async (service, settings) => {
      const found = [
        ...checkSettings(settings),
        ...(await checkStore(service.store, service.clock, this.signal)),
        ...(await checkKeys(service.store, operator.keyPlace, this.signal)),
      ]
      for (const host of hosts)
        for (const finding of await checkBox(host, service, this.signal))
          found.push({...finding, what: `${host}: ${finding.what}`})
      return found
    })
    this.finish(describeFindings(findings), false)
    process.exitCode = exitCodeOfFindings(findings)
    return {findings}
  }
}
