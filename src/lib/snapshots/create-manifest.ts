import {DumontError} from '../errors.js'
import {encodeManifest, type Manifest} from '../format/manifest.js'
import type {Attempt, CreateContext} from './create-attempt.js'
import type {Checked} from './create-claim.js'
import type {CheckedGroups} from './group-claim.js'
import type {CreateResult} from '../worker/results.js'
import {joinNvidia} from './nvidia-need.js'
import {offProtocol} from '../worker/protocol.js'

/** The manifest of what was proven; of the worker's words only those that nobody else can know. USAGE when it cannot fit. */
export function buildManifest(
  context: CreateContext,
  label: string,
  attempt: Attempt & {readonly checked: Checked},
): Manifest {
  const {box, choice, lineage, request, service} = context
  const {checked, created, result, snapshot, warnings} = attempt
  const {parent} = choice
  const {hello} = box.worker
  return fitManifest({
    format: 1,
    id: snapshot,
    lineage,
    label,
    ...(request.tags?.length ? {tags: [...request.tags]} : {}),
    sequence: (parent?.manifest.sequence ?? 0) + 1,
    parent: parent ? {id: parent.id, sha256: parent.sha256} : null,
    created: new Date(created).toISOString(),
    ...readSince(attempt, parent?.manifest),
    host: {address: box.session.label, ...hello.host},
    roots: result.roots,
    rules: {
      excludes: [...request.excludes],
      excludeCaches: request.excludeCaches,
      crossMounts: request.crossMounts,
      skippedMounts: result.skippedMounts,
    },
    counts: {...checked.recount.counts, unreadable: result.counts.unreadable},
    bytes: {
      ...checked.recount.bytes,
      ...deltaOf(checked.recount, result),
      ...parityOf(checked.groups),
    },
    seconds: result.seconds,
    index: checked.index,
    decoders: [...checked.recount.decoders],
    nvidia: nvidiaOf(context, {...attempt, checked}),
    warnings: {count: warnings.count, first: [...warnings.first]},
    versions: {dumont: service.version, worker: hello.worker},
  })
}

/** Since when every file has been read once; unknown where a snapshot leans on one that does not say. */
function readSince({created, readAll}: Attempt, parent?: Manifest): Pick<Manifest, 'readSince'> {
  if (readAll) return {readSince: new Date(created).toISOString()}
  return parent?.readSince === undefined ? {} : {readSince: parent.readSince}
}

function nvidiaOf(
  {box, choice}: CreateContext,
  {checked, result}: Attempt & {readonly checked: Checked},
): Manifest['nvidia'] {
  const wheels = [...(box.equipment.nvcompWheels ?? [])]
  const {ans, decoders} = checked.recount
  const own = ans.own && result.nvidia ? [{...result.nvidia, wheels}] : []
  const parents = ans.inherited ? choice.parent?.manifest.nvidia?.libraries : []
  const nvidia = joinNvidia(decoders, [...own, ...(parents ?? [])])
  if (nvidia?.libraries.length === 0 || (ans.own && own.length === 0))
    throw offProtocol('ANS chunks without a word on what decodes them')
  return nvidia
}

/** What the differences are is in the index; only the worker has seen what they would have been alone. */
function deltaOf(
  {differences: {raw, stored}}: Checked['recount'],
  {bytes: {delta}}: CreateResult,
): Pick<Manifest['bytes'], 'delta'> {
  return raw === 0 ? {} : {delta: {raw, stored, alone: Math.max(stored, delta?.alone ?? 0)}}
}

function parityOf({made}: CheckedGroups): Pick<Manifest['bytes'], 'parity'> {
  if (made.length === 0) return {}
  const all = made.flatMap(({parity}) => parity)
  return {parity: all.reduce((sum, {length}) => sum + length, 0)}
}

/** Keeps as many of the first warnings as fit into 8 KiB. */
function fitManifest(manifest: Manifest): Manifest {
  const {first} = manifest.warnings
  for (let kept = first.length; ; kept = Math.floor(kept / 2)) {
    const fitted = {...manifest, warnings: {...manifest.warnings, first: first.slice(0, kept)}}
    if (fits(fitted)) return fitted
    if (kept === 0) throw tooLong()
  }
}

function fits(manifest: Manifest): boolean {
  try {
    encodeManifest(manifest)
    return true
  } catch (error) {
    if (error instanceof RangeError && error.message.endsWith('too long')) return false
    throw error
  }
}

function tooLong(): DumontError {
  return new DumontError(
    'USAGE',
    'paths, excludes and mounts are too long for a snapshot’s manifest',
    {
      hint: 'give fewer --exclude patterns; a .dumontignore file has no such limit',
    },
  )
}
