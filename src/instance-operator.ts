import {randomBytes} from 'node:crypto'
import {join} from 'node:path'
import type {BaseCommand} from './base-command.js'
import {systemClock} from './lib/clock.js'
import {DumontError} from './lib/errors.js'
import {openClaimOwner} from './lib/instances/claim-owner.js'
import type {InstanceService} from './lib/instances/instance-service.js'
import {isInstanceId, type ProviderName} from './lib/providers/instance-address.js'
import {openProvider} from './lib/providers/open-provider.js'
import type {BoxService} from './lib/snapshots/service.js'
import {untrusted} from './lib/untrusted.js'
import {openOperator, type Operator} from './operator.js'

export interface InstanceOperator extends Operator {
  /** Adds one vendor account to what services stand on. */
  account(box: BoxService, provider: ProviderName): Promise<InstanceService>
  /** The known_hosts file of one rented machine. */
  readonly keysOf: (provider: string, id: string) => string
}

/** The operator with vendors: rented machines have known_hosts files of their own. */
export async function openInstances(
  command: BaseCommand,
  flags: Readonly<Record<string, unknown>>,
  {
    areNew,
    creates = false,
    writes = false,
  }: {
    /** The machines that are reached are made in this run. */
    readonly areNew: boolean
    /** The command may be the first to use a store. */
    readonly creates?: boolean
    /** It writes into a store that is there. */
    readonly writes?: boolean
  },
): Promise<InstanceOperator> {
  const shown = {creates, hosts: [], steps: [], story: true, writes}
  const operator = await openOperator(command, flags, shown)
  const {pinHost, settings} = operator
  const stateDir = settings.directories.state
  const keysOf = (provider: string, id: string) =>
    join(stateDir, 'known_hosts', `${provider}-${id}`)
  return {
    ...operator,
    keysOf,
    async account(box, name) {
      const provider = await openProvider(name, settings.providers, {clock: systemClock})
      const owner = await openClaimOwner(stateDir, {
        isRunning,
        random: randomBytes,
        run: process.pid,
      })
      return {
        ...box,
        owner,
        provider,
        pinHost(host, id) {
          if (!isInstanceId(name, id))
            throw new DumontError('VENDOR', `${name} names an instance ${untrusted(id, 80)}`)
          pinHost(host, {file: keysOf(name, id), isNew: areNew})
        },
      }
    },
  }
}

/** Only that it is not there says that it does not run. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
