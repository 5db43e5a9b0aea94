import type {Provider} from '../providers/provider.js'
import type {BoxService} from '../snapshots/service.js'
import type {ClaimOwner} from './claim-owner.js'

/** What every service for whole instances stands on: a store, boxes, and one account at one vendor. */
export interface InstanceService extends BoxService {
  readonly provider: Provider
  readonly owner: ClaimOwner
}
