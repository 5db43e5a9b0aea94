import type {Provider} from '../providers/provider.js'
import type {BoxService} from '../snapshots/service.js'
import type {ClaimOwner} from './claim-owner.js'

/** What every service for whole instances stands on: a store, boxes, and one account at one vendor. */
export interface InstanceService extends BoxService {
  readonly provider: Provider
  readonly owner: ClaimOwner
  /** Holds a host to the keys of this instance from its first connection on; absent where all keys are known before. */
  readonly pinHost?: (host: string, instanceId: string) => void
}
