import {formatBytes} from '../lib/bytes.js'
import type {PrunePlan, PruneResult} from '../lib/snapshots/prune-snapshots.js'
import {untrusted} from '../lib/untrusted.js'
import {describeDelete} from './describe-delete.js'
import {table} from './table.js'

/** Of Cloudflare R2, standard class: what a GB costs in a month. */
const PER_GB_MONTH = 0.015

/** What `--json` answers: every snapshot with the reasons for which it stays; none, and it goes. */
export function pruneAnswer({freed, removed, unreadable, verdicts}: PruneResult): object {
  return {
    snapshots: verdicts.map(({reasons, snapshot: {id, manifest}}) => ({
      created: manifest.created,
      id,
      label: manifest.label,
      lineage: manifest.lineage,
      reasons,
    })),
    unreadable: unreadable.map(({error, id}) => ({code: error.code, id, message: error.message})),
    freed: freed ?? null,
    deleted: removed?.deleted ?? [],
    ...(removed?.freeAfter === undefined ? {} : {freeAfter: removed.freeAfter}),
  }
}

/** The question before anything is deleted. */
export function questionOfPrune(plan: PrunePlan): string {
  const going = plan.verdicts.filter(({reasons}) => reasons.length === 0).length
  return `${describePlan(plan)}\nDelete ${going === 1 ? 'this snapshot' : `these ${going} snapshots`}?`
}

/** What is kept and why, and what went or would go. */
export function describePrune(result: PruneResult): string {
  return result.removed ? describeDelete(result.removed) : describePlan(result)
}

function describePlan({freed, unreadable, verdicts}: PrunePlan): string {
  if (verdicts.length === 0) return 'no snapshots'
  const rows = verdicts.map(({reasons, snapshot: {id, manifest}}) => [
    reasons.length === 0 ? 'goes' : 'stays',
    id,
    untrusted(manifest.label, 40),
    formatBytes(manifest.bytes.raw),
    reasons.join(', '),
  ])
  const columns = [
    {title: ''},
    {title: 'ID'},
    {title: 'LABEL'},
    {align: 'right', title: 'SIZE'},
    {title: 'WHY'},
  ] as const
  return [
    table(columns, rows),
    ...unreadable.map(({id}) => `${untrusted(id, 60)} cannot be read and stays`),
    freedLine(freed),
  ].join('\n')
}

function freedLine(freed: number | undefined): string {
  if (freed === undefined) return 'how much becomes free is not known: a snapshot is damaged'
  const month = (freed / 1e9) * PER_GB_MONTH
  return `frees ${formatBytes(freed)}, $${month.toFixed(2)} a month at $${PER_GB_MONTH} a GB`
}
