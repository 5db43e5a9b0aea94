import type {Break} from './code.js'
import type {Scene} from './explore.js'
import {deletion, dueMarks, longIdle, parity} from './scenes.js'

/** A way to get the order of things wrong, and where that loses something. */
export interface BrokenOrder {
  readonly name: string
  readonly breaks: readonly Break[]
  readonly scene: Scene
  readonly preemptions: number
}

const orders: readonly (readonly [
  name: string,
  breaks: readonly Break[],
  at?: Partial<BrokenOrder>,
])[] = [
  [
    'a create that looks at its packs before it reads the marks',
    [
      {
        file: 'commit-check.ts',
        from: '  const marked = await markedKeys(store, signal)\n',
        to: '',
      },
      {
        file: 'commit-check.ts',
        from: '  const doomed = ',
        to: '  const marked = await markedKeys(store, signal)\n  const doomed = ',
      },
    ],
  ],
  [
    'a create that does not read the marks at all',
    [{file: 'commit-check.ts', from: 'marked.has(key)', to: 'false'}],
  ],
  [
    'a create that does not look at its packs again',
    [
      {
        file: 'commit-check.ts',
        from: 'new Set([...unlisted, ...unproven, ...doomed])',
        to: 'new Set(doomed)',
      },
    ],
  ],
  [
    'a create that does not look at its index again',
    [{file: 'commit-check.ts', from: ', ...index.segments, index.packs]', to: ']\n  void index'}],
    {scene: longIdle, preemptions: 1},
  ],
  [
    'a create that commits however long ago it looked',
    [
      {file: 'commit-when-reliable.ts', from: 'clock.now() - since < FRESH_MS', to: 'true'},
      {file: 'commit-when-reliable.ts', from: 'clock.now() - since >= FRESH_MS', to: 'false'},
    ],
    {preemptions: 3},
  ],
  [
    'a sweep that does not look at the manifests again',
    [
      {
        file: 'removal.ts',
        from: 'const needed = await neededKeys(store, survey, signal)\n  const unneeded',
        to: 'const needed = new Set<string>()\n  const unneeded',
      },
    ],
  ],
  [
    'a sweep that does not know what groups need',
    [
      {
        file: 'needed-objects.ts',
        from: 'groups.flatMap(({members, parity}) => [...members, ...parity])',
        to: '[...groups.splice(0), ...named].filter(() => false)',
      },
    ],
    {scene: parity, preemptions: 1},
  ],
  [
    'a sweep that does not wait',
    [{file: 'removal.ts', from: 'now - since >= GRACE_MS', to: 'true'}],
  ],
  [
    'a sweep that removes the marks before what they name',
    [
      {file: 'removal.ts', from: '  await store.remove(unneeded, signal)\n', to: ''},
      {
        file: 'removal.ts',
        from: '  return {objects: unneeded.length, marks: due.length}',
        to: '  await store.remove(unneeded, signal)\n  return {objects: unneeded.length, marks: due.length}',
      },
    ],
    {scene: dueMarks},
  ],
  [
    'a deletion that removes at once what nobody needs',
    [
      {
        file: 'delete-snapshot.ts',
        from: '    await writeMarks(\n      store,\n      plan.map(({key}) => key),\n      {now, random},\n      signal,\n    )',
        to: '    await store.remove(\n      plan.map(({key}) => key),\n      signal,\n    )\n    void writeMarks\n    void random',
      },
    ],
  ],
]

export const brokenOrders: readonly BrokenOrder[] = orders.map(([name, breaks, at]) => ({
  name,
  breaks,
  scene: deletion,
  preemptions: 2,
  ...at,
}))
