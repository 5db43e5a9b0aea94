import type {StoreService} from '../../src/lib/snapshots/service.js'
import type {CreateContext} from '../../src/lib/snapshots/create-attempt.js'
import type {CreateSnapshotRequest} from '../../src/lib/snapshots/create-request.js'
import {chooseLineage} from '../../src/lib/snapshots/lineage.js'
import {surveyManifests} from '../../src/lib/snapshots/manifests.js'
import type {RetentionRules} from '../../src/lib/snapshots/retention.js'
import type {SignedObject} from '../../src/lib/snapshots/signing-record.js'
import type {PackRecord} from '../../src/lib/format/pack-list.js'
import type {RequestHandlers} from '../../src/lib/worker/request-handlers.js'
import type {CreateRequest} from '../../src/lib/worker/requests.js'
import {HELLO} from '../support/scripted-worker.js'
import type {Code} from './code.js'
import {createDirectly} from './direct-worker.js'

/** What an actor is given to work with; whatever else it did would go unseen. */
export interface Place {
  readonly code: Code
  readonly service: StoreService
  /** Told of a snapshot as soon as its operator was. */
  readonly acknowledge: (id: string) => void
}

/** One command on one machine. */
export interface Actor {
  readonly name: string
  /** Ids of snapshots it may delete; nobody else's may be missed. */
  readonly deletes?: readonly string[] | 'any'
  /** How many snapshots stay whatever happens. */
  readonly keeps?: number
  readonly run: (place: Place) => Promise<void>
}

type Files = Readonly<Record<string, string>>

const REQUEST: CreateSnapshotRequest = {
  host: 'root@gpu1',
  paths: ['/workspace'],
  excludes: [],
  excludeCaches: false,
  crossMounts: false,
  parts: 4,
  codec: 'auto',
  level: 3,
  dryRun: false,
  acceptRollback: false,
}

/** What else a create may be given. */
interface CreateOptions {
  /** Of an earlier run. */
  readonly left?: readonly SignedObject[]
  readonly parity?: number
}

/** Takes a snapshot of these files as createSnapshot does, but with a worker that is at hand. */
export function creates(
  name: string,
  files: Files,
  {left = [], parity = 0}: CreateOptions = {},
): Actor {
  return {
    name,
    async run({acknowledge, code, service}) {
      const {store} = service
      const {readable, unreadable} = await surveyManifests(store)
      const roots = ['/workspace']
      const known = {label: 'train', roots, box: HELLO.host.box, restored: [], manifests: readable}
      const choice = chooseLineage(known)
      const journal = left.map(({key, length, pin}): PackRecord => ({key, length, pin}))
      const context = {
        request: {...REQUEST, parity},
        service,
        box: {
          session: {label: 'root@gpu1:22', isLocal: false},
          worker: {
            hello: HELLO,
            create: (request: CreateRequest, handlers: RequestHandlers) =>
              createDirectly(store, {files: {...files}, journal}, {handlers, request}),
          },
          reach: {most: Infinity, sign: store.sign.bind(store)},
          equipment: {argv: []},
        },
        repository: {id: REPOSITORY, pin: 'crc32'},
        record: {
          append: async () => {},
          read: async () => new Map(left.map((object) => [object.key, object])),
        },
        roots,
        lineage: choice.parent?.manifest.lineage ?? LINEAGE,
        choice,
        committed: new Set([...readable, ...unreadable].map(({id}) => id)),
      } as unknown as CreateContext
      const {manifest} = await code.attemptAndCommit(context, 'train')
      if (manifest) acknowledge(manifest.id)
      await code.sweepDueMarks(store)
    },
  }
}

export const LINEAGE = '1'.repeat(32)
export const REPOSITORY = 'd'.repeat(32)

export function removes(name: string, ...snapshots: string[]): Actor {
  return {
    name,
    deletes: snapshots,
    run: async ({code, service}) => {
      await code.deleteSnapshots({snapshots, confirm: async () => true}, service)
    },
  }
}

export function prunes(name: string, rules: RetentionRules): Actor {
  return {
    name,
    deletes: 'any',
    keeps: rules.last ?? 0,
    run: async ({code, service}) => {
      const asked = {rules, held: new Map(), dryRun: false, confirm: async () => true}
      await code.pruneSnapshots(asked, service)
    },
  }
}

export function sweeps(name: string): Actor {
  return {
    name,
    run: async ({code, service}) => {
      await code.sweepDueMarks(service.store)
    },
  }
}
