import {FORMAT_TARGETS} from './format-targets.js'
import {OPERATOR_TARGETS} from './operator-targets.js'
import {PROVIDER_TARGETS} from './provider-targets.js'
import {SEAL_TARGETS} from './seal-targets.js'
import {STORE_TARGETS} from './store-targets.js'
import type {Target} from './target.js'
import {WORKER_TARGETS} from './worker-targets.js'

export const TARGETS: readonly Target[] = [
  ...FORMAT_TARGETS,
  ...WORKER_TARGETS,
  ...SEAL_TARGETS,
  ...STORE_TARGETS,
  ...PROVIDER_TARGETS,
  ...OPERATOR_TARGETS,
]
