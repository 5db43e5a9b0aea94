import type {StoreService} from '../snapshots/service.js'
import {throwIfInterrupted} from '../store/interruption.js'
import {listInstances, type InstanceList} from './instance-list.js'
import type {InstanceService} from './instance-service.js'
import {reconcile} from './reconcile.js'
import {reasonOf} from './vendor-failure.js'
import type {Leak} from './wake-request.js'

export interface InstanceSurvey extends InstanceList {
  /** Rented by an interrupted wake and in nobody's hands. */
  readonly leaks: readonly Leak[]
}

/** Settles what earlier runs left open at each of these accounts, then lists all that there is. */
export async function surveyInstances(
  accounts: readonly InstanceService[],
  store: Pick<StoreService, 'clock' | 'store'>,
  signal?: AbortSignal,
): Promise<InstanceSurvey> {
  const failures: string[] = []
  const leaks: Leak[] = []
  for (const account of accounts) {
    try {
      leaks.push(...(await reconcile(account, {}, signal)).leaks)
    } catch (error) {
      throwIfInterrupted(signal)
      failures.push(reasonOf(error))
    }
  }
  const listed = await listInstances(
    accounts.map(({provider}) => provider),
    store,
    signal,
  )
  return {
    instances: listed.instances,
    failures: [...new Set([...failures, ...listed.failures])],
    leaks,
  }
}
