/** What every run does first, so that even the shortest does everything; then chance decides. */
export const FIRST = [
  'create',
  'change',
  'create in trouble',
  'change',
  'killed create',
  'restore',
  'damage',
  'killed restore',
  'change',
  'create',
  'restore in trouble',
  'delete',
  'verify',
  'prune',
] as const

export type Deed = (typeof FIRST)[number]

/** How often chance decides for each. */
export const WEIGHTS: Readonly<Record<Deed, number>> = {
  change: 6,
  create: 1,
  'create in trouble': 6,
  damage: 2,
  delete: 1,
  'killed create': 4,
  'killed restore': 3,
  prune: 0.5,
  restore: 1,
  'restore in trouble': 4,
  verify: 1,
}
