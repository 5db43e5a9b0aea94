import {Flags} from '@oclif/core'
import {BaseCommand} from '../base-command.js'
import {sshFlags, storeFlags} from '../flags.js'
import type {Finding} from '../lib/checkup/finding.js'
import {systemClock} from '../lib/clock.js'
import {PROVIDERS, type ProviderName} from '../lib/providers/instance-address.js'
import type {Settings} from '../lib/settings/load-settings.js'
import type {BoxService} from '../lib/snapshots/service.js'
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
    '<%= config.bin %> <%= command.id %> --provider vast --wake vast:12345',
  ]

  static override flags = {
    host: Flags.string({
      helpValue: 'HOST',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'a box to look at as well',
    }),
    provider: Flags.option({
      multiple: true,
      multipleNonGreedy: true,
      options: PROVIDERS,
      summary: 'a vendor account to look at as well: key, balance, what can be seen',
    })(),
    wake: Flags.string({
      helpValue: 'ID',
      summary: 'an instance or snapshot: is everything there to wake it?',
    }),
    ...sshFlags,
    ...storeFlags,
  }

  async run(): Promise<{readonly findings: readonly Finding[]}> {
    const {flags} = await this.parse(Doctor)
    const hosts = flags.host ?? []
    const operator = await openOperator(this, flags, {
      // What is woken is read from the store; everything else is found out without its keys.
      closed: flags.wake === undefined,
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
      for (const name of flags.provider ?? [])
        for (const finding of await this.vendor(name, settings))
          found.push({...finding, what: `${name}: ${finding.what}`})
      if (flags.wake !== undefined) found.push(...(await this.wake(flags.wake, service, settings)))
      return found
    })
    this.finish(describeFindings(findings), false)
    process.exitCode = exitCodeOfFindings(findings)
    return {findings}
  }

  private async vendor(name: ProviderName, {providers}: Settings): Promise<readonly Finding[]> {
    const {checkProvider} = await import('../lib/checkup/check-provider.js')
    const {openProvider} = await import('../lib/providers/open-provider.js')
    let from: string | undefined
    const access: Settings['providers']['access'] = async (vendor) => {
      const found = await providers.access(vendor)
      from = found.apiKeyFrom
      return found
    }
    const open = () => openProvider(name, {...providers, access}, {clock: systemClock})
    return checkProvider(open, () => from, this.signal)
  }

  private async wake(
    id: string,
    {coldUnlock, stateDir, store}: Pick<BoxService, 'coldUnlock' | 'stateDir' | 'store'>,
    {providers}: Settings,
  ): Promise<readonly Finding[]> {
    const {checkWake} = await import('../lib/checkup/check-wake.js')
    const {findWakeAccount} = await import('../lib/instances/wake-account.js')
    const {openProvider} = await import('../lib/providers/open-provider.js')
    const {bad} = await import('../lib/checkup/finding.js')
    const reopening = coldUnlock ? {coldUnlock} : {}
    try {
      const standard = providers.standard ?? 'vast'
      const {provider, what} = await findWakeAccount(id, {standard}, store, this.signal)
      const account = await openProvider(provider, providers, {clock: systemClock})
      const waking = {...reopening, provider: account, stateDir, store}
      const findings = await checkWake(what, waking, this.signal)
      return findings.map((finding) => ({...finding, what: `wake: ${finding.what}`}))
    } catch (error) {
      return [bad('wake', error)]
    }
  }
}
