import type {Phase} from '../providers/provider.js'
import type {RecordState} from './record.js'

/** What shall become of the instance once its snapshot is proven. */
export type Goal = 'destroy' | 'protect' | 'stop'

/** Everything the next step depends on; steps only add to it. */
export interface HibernateFacts {
  readonly goal: Goal
  readonly phase: Phase
  /** What the store said when the run began. */
  readonly found: RecordState | undefined
  readonly hasPreHook: boolean
  readonly freezes: boolean
  readonly identified: boolean
  readonly hooked: boolean
  readonly still: boolean
  readonly taken: boolean
  readonly frozen: boolean
  /** The last look found nothing changed. */
  readonly quiet: boolean
  readonly proven: boolean
  readonly protected: boolean
  /** The operator's answer; undefined until asked. */
  readonly agreed: boolean | undefined
  readonly announced: boolean
  readonly rechecked: boolean
  /** The vendor was asked to stop or destroy. */
  readonly asked: boolean
  readonly concluded: boolean
}

export type HibernateStep =
  | 'announce'
  | 'ask'
  | 'conclude'
  | 'done'
  | 'end'
  | 'freeze'
  | 'identify'
  | 'pre-hook'
  | 'prove'
  | 'recheck'
  | 'record'
  | 'refuse'
  | 'rescan'
  | 'settle'
  | 'snapshot'
  | 'still'

const ENDING: ReadonlySet<RecordState | undefined> = new Set(['destroy-unconfirmed', 'destroying'])

type Rule = readonly [HibernateStep, (facts: HibernateFacts) => boolean]

/** The way from a running box to a proven snapshot, and on to its end: the first step that is still to be done comes next. */
const WAY: readonly Rule[] = [
  ['done', ({concluded}) => concluded],
  ['conclude', ({asked}) => asked],
  // An earlier run asked for the end: only the look is left.
  ['settle', ({found, phase}) => phase === 'gone' && ENDING.has(found)],
  ['done', ({found, phase}) => phase === 'gone' && found === 'hibernated'],
  ['done', ({found, goal, phase}) => phase === 'stopped' && goal === 'stop' && found === 'stopped'],
  ['refuse', ({phase}) => phase !== 'running'],
  ['identify', ({identified}) => !identified],
  ['pre-hook', ({hasPreHook, hooked}) => hasPreHook && !hooked],
  ['still', ({still}) => !still],
  ['snapshot', ({taken}) => !taken],
  ['freeze', ({freezes, frozen}) => freezes && !frozen],
  ['rescan', ({quiet}) => !quiet],
  ['prove', ({proven}) => !proven],
  ['record', (facts) => !facts.protected],
  ['done', ({goal}) => goal === 'protect'],
  ['ask', ({agreed}) => agreed === undefined],
  ['done', ({agreed}) => agreed === false],
  ['announce', ({announced}) => !announced],
  ['recheck', ({rechecked}) => !rechecked],
  ['end', ({asked}) => !asked],
]

/** What to do next; a pure function, so that every edge can be looked at. */
export function nextHibernateStep(facts: HibernateFacts): HibernateStep {
  return WAY.find(([, isNext]) => isNext(facts))?.[0] ?? 'done'
}

/** A run that has done nothing yet. */
export function firstFacts(
  begin: Pick<HibernateFacts, 'found' | 'freezes' | 'goal' | 'hasPreHook' | 'phase'>,
): HibernateFacts {
  return {
    ...begin,
    identified: false,
    hooked: false,
    still: false,
    taken: false,
    frozen: false,
    quiet: false,
    proven: false,
    protected: false,
    agreed: undefined,
    announced: false,
    rechecked: false,
    asked: false,
    concluded: false,
  }
}
