import {displayByteString} from '../format/byte-string.js'
import type {Manifest} from '../format/manifest.js'
import {offProtocol} from '../worker/protocol.js'
import type {RequestHandlers} from '../worker/request-handlers.js'
import type {RestoreResult} from '../worker/results.js'
import {untrusted} from '../untrusted.js'
import {BoxWarnings, type BoxWarning} from './box-warnings.js'
import type {ConnectedBox} from './connect-worker.js'
import {memoryFor} from './create-request.js'
import {checkTarget} from './local-target.js'
import {checkDecoders, withNvcomp} from './nvidia-need.js'
import {onBox} from './on-box.js'
import type {BoxService} from './service.js'
import {grantFetch, type Readable} from './fetching.js'

/** How a snapshot is to be written; the same for every box. */
export interface RestoreOptions {
  /** Absolute; absent: to where the roots were. */
  readonly target?: string
  readonly include: readonly string[]
  readonly overwrite: 'always' | 'if-changed' | 'never'
  readonly delete: boolean
  readonly devices: boolean
  readonly includeAccessFiles: boolean
  /** Keep setuid, setgid and capabilities; absent: yes on a box, no on this machine. */
  readonly privileges?: boolean
  readonly parts: number
  /** Bytes. */
  readonly memory?: number
  readonly dryRun: boolean
  /** Brings back what is proven of a snapshot whose index is damaged; absent: such a snapshot is refused. */
  readonly salvage?: boolean
  /** Hears of every entry that a salvage does not bring back. */
  readonly onLost?: (entry: LostEntry) => void
  /** Asked before `delete` removes anything; texts are safe to show. */
  readonly confirmDelete: (question: DeleteQuestion) => Promise<boolean>
}

export interface DeleteQuestion {
  readonly host: string
  readonly count: number
  readonly examples: readonly string[]
}

/** An entry that could not be brought back; texts are safe to show. */
export interface FailedEntry {
  readonly path: string
  readonly code: string
  readonly message: string
}

export interface LostEntry extends FailedEntry {
  readonly host: string
}

/** What a restore did on one box. */
export interface HostRestore {
  readonly counts: RestoreResult['counts']
  readonly bytes: RestoreResult['bytes']
  readonly same: number
  readonly written: number
  readonly deleted: number
  readonly failed: number
  /** Of those that failed: what the store does not hold as it was saved. */
  readonly damaged: number
  /** The first hundred. */
  readonly failures: readonly FailedEntry[]
  readonly warnings: {
    readonly count: number
    readonly byCode: Readonly<Record<string, number>>
    readonly first: readonly BoxWarning[]
  }
  readonly notes: Readonly<Record<string, number>>
  readonly seconds: number
}

/** What is restored: a manifest, and every key a box may read for it. */
export interface RestoreSource {
  readonly manifest: Manifest
  readonly readable: Readable
  /** Whether something that is lost may be made again. */
  readonly hasParity: boolean
}

/**
 * Restores onto one box, to which it connects while the source is still opening. Rejects when nothing, or not everything,
 * could be attempted; entries that failed are a result.
 */
export async function restoreHost(
  host: string,
  opening: Promise<RestoreSource>,
  {options, service}: {readonly options: RestoreOptions; readonly service: BoxService},
  signal?: AbortSignal,
): Promise<HostRestore> {
  const begun = service.clock.now()
  const {report} = service
  const write = async (box: ConnectedBox, source: RestoreSource): Promise<HostRestore> => {
    const {manifest} = source
    const {hello} = box.worker
    await checkTarget(options.target, {
      session: box.session,
      home: displayByteString(hello.home, 4096),
    })
    // A salvage brings back what this box can decode, and names the rest.
    if (!options.salvage) checkDecoders(manifest, box)
    report({kind: 'step', step: 'restore', state: 'started', host})
    const warnings = new BoxWarnings(report, host)
    let lost = 0
    const handlers: RequestHandlers = {
      fetch: (asked, raw = false) =>
        grantFetch(asked, {raw, readable: source.readable, store: service.store}, box.reach),
      confirm: ({count, examples}) =>
        options.confirmDelete({
          host,
          count,
          examples: examples.map((path) => displayByteString(path, 500)),
        }),
      lost: (entry) => {
        const most = manifest.counts.entries + manifest.index.segments.length
        if (++lost > most) throw offProtocol(`more than the ${most} entries that can be lost`)
        options.onLost?.({host, ...readable(entry)})
      },
      progress: (progress) => report({kind: 'transfer', progress, host}),
      warning: (warning) => warnings.add(warning),
    }
    const result = await box.worker.restore(requestOf(source, options, box), handlers, signal)
    report({kind: 'step', step: 'restore', state: 'done', host})
    const failures = result.failures.map(readable)
    for (const failure of failures) report({kind: 'warning', ...failure, host})
    return {
      ...result,
      failures,
      warnings: {count: warnings.count, byCode: result.warnings, first: warnings.first},
      seconds: (service.clock.now() - begun) / 1000,
    }
  }
  const done = await onBox(
    host,
    service,
    async (box) => {
      const source = await opening
      return source.manifest.nvidia === null ? write(box, source) : undefined
    },
    signal,
  )
  if (done) return done
  // Only now is it known that the box needs more than most.
  const source = await opening
  const need = options.salvage ? 'wanted' : 'required'
  const equipped = withNvcomp(service, need, source.manifest.id)
  return onBox(host, equipped, (box) => write(box, source), signal)
}

function readable({code, message, path}: RestoreResult['failures'][number]): FailedEntry {
  return {code, message: untrusted(message, 300), path: displayByteString(path, 4096)}
}

function requestOf(
  {hasParity, manifest}: RestoreSource,
  options: RestoreOptions,
  {reach, session, worker}: ConnectedBox,
) {
  const {devices, dryRun, include, includeAccessFiles, memory, overwrite, parts, target} = options
  return {
    type: 'restore' as const,
    snapshot: manifest.id,
    lineage: manifest.lineage,
    roots: manifest.roots,
    segments: manifest.index.segments,
    packs: manifest.index.packs,
    target: target ?? null,
    include: [...include],
    overwrite,
    delete: options.delete,
    rules: manifest.rules,
    devices,
    includeAccessFiles,
    privileges: options.privileges ?? !session.isLocal,
    parts: Math.min(parts, reach.most),
    memory: memoryFor(worker.hello, memory),
    dryRun,
    salvage: options.salvage ?? false,
    ...(hasParity && manifest.index.groups && {groups: manifest.index.groups}),
  }
}
