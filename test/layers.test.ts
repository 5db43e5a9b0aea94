import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {execFileSync} from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join, relative, resolve} from 'node:path'
import {fileURLToPath} from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

/** [file, its text, the rule that must refuse it] */
const REFUSED: readonly (readonly [string, string, string])[] = [
  ['src/lib/a.ts', "import {x} from '@oclif/core'\nx()", 'no-restricted-imports'],
  ['src/lib/b.ts', "import chalk from 'chalk'\nchalk.red('')", 'no-restricted-imports'],
  ['src/lib/c.ts', "export const load = () => import('listr2')", 'no-restricted-imports'],
  ['src/lib/d.ts', "import {x} from '../ui/terminal-view.js'\nx()", 'no-restricted-imports'],
  ['src/lib/e.ts', "import {x} from '../commands/snapshot/list.js'\nx()", 'no-restricted-imports'],
  ['src/lib/f.ts', "import {x} from './store/store.js'\nx()", 'no-restricted-imports'],
  ['src/lib/g.ts', 'console.error(1)', 'no-console'],
  ['src/lib/h.ts', 'process.exit(1)', 'no-process-exit'],
  ['src/lib/i.ts', "process.stderr.write('')", 'no-restricted-properties'],
  ['src/lib/j.ts', 'export const home = process.env.HOME', 'no-process-env'],
  ['src/lib/k.ts', "import {env} from 'node:process'\nenv.HOME", 'no-restricted-imports'],
  ['src/lib/l.ts', 'export default 1', 'no-default-export'],
  [
    'src/lib/remote/a.ts',
    "import type {S} from '../store/store.js'\nlet s: S",
    'no-restricted-imports',
  ],
  ['src/lib/remote/b.ts', "import {Client} from 'ssh2'\nnew Client()", 'no-restricted-imports'],
  ['src/lib/remote/c.ts', "import {S} from '@aws-sdk/client-s3'\nnew S()", 'no-restricted-imports'],
  [
    'src/lib/store/a.ts',
    "import type {S} from '../remote/session.js'\nlet s: S",
    'no-restricted-imports',
  ],
  ['src/lib/store/b.ts', "import {Client} from 'ssh2'\nnew Client()", 'no-restricted-imports'],
  [
    'src/lib/worker/a.ts',
    "import {x} from '../snapshots/manifest.js'\nx()",
    'no-restricted-imports',
  ],
  [
    'src/lib/providers/a.ts',
    "import {x} from '../instances/receipt.js'\nx()",
    'no-restricted-imports',
  ],
  [
    'src/lib/snapshots/b.ts',
    "import {x} from '../providers/provider.js'\nx()",
    'no-restricted-imports',
  ],
  ['src/lib/seal/a.ts', "import {x} from '../store/store.js'\nx()", 'no-restricted-imports'],
  [
    'src/lib/keys/a.ts',
    "import {x} from '../snapshots/manifests.js'\nx()",
    'no-restricted-imports',
  ],
  ['src/lib/store/d.ts', "import {x} from '../keys/unlock.js'\nx()", 'no-restricted-imports'],
  ['src/lib/settings/a.ts', "import {x} from '../store/s3-store.js'\nx()", 'no-restricted-imports'],
  [
    'src/lib/snapshots/a.ts',
    "import {x} from '../settings/schema.js'\nx()",
    'no-restricted-imports',
  ],
  ['src/ui/a.ts', "import {x} from '../lib/remote/session.js'\nx()", 'no-restricted-imports'],
  ['src/ui/b.ts', "import {x} from '@oclif/core'\nx()", 'no-restricted-imports'],
  ['src/commands/a.ts', "import chalk from 'chalk'\nchalk.red('')", 'no-restricted-imports'],
  ['src/commands/b.ts', 'export const home = process.env.HOME', 'no-process-env'],
  [
    'src/lib/format/one.ts',
    "import {two} from './two.js'\nexport const one = () => two",
    'no-cycle',
  ],
  [
    'src/lib/format/two.ts',
    "import {one} from './one.js'\nexport const two = () => one",
    'no-cycle',
  ],
]

const ALLOWED: readonly (readonly [string, string])[] = [
  ['src/lib/settings/ok.ts', 'export const home = process.env.HOME'],
  ['src/lib/store/ok.ts', "export const load = () => import('@aws-sdk/client-s3')"],
  ['src/lib/remote/ssh-session.ts', "export const load = () => import('ssh2')"],
  ['src/ui/ok.ts', "import chalk from 'chalk'\nexport const red = chalk.red"],
  [
    'src/commands/ok.ts',
    "import {Command} from '@oclif/core'\nexport default class extends Command {}",
  ],
]

interface Diagnostic {
  readonly code: string
  readonly filename: string
}

describe('the layer rules', () => {
  let sandbox: string
  let found: readonly Diagnostic[]

  beforeAll(() => {
    sandbox = mkdtempSync(join(tmpdir(), 'dumont-layers-'))
    cpSync(join(ROOT, '.oxlintrc.json'), join(sandbox, '.oxlintrc.json'))
    for (const [file, text] of [...REFUSED, ...ALLOWED]) {
      mkdirSync(dirname(join(sandbox, file)), {recursive: true})
      writeFileSync(join(sandbox, file), `${text}\n`)
    }
    found = lint(sandbox)
  })
  afterAll(() => rmSync(sandbox, {recursive: true, force: true}))

  test.each(REFUSED)('refuse %s: %j', (file, _text, rule) => {
    const rules = found.filter((each) => each.filename === file).map((each) => each.code)
    expect(rules.join(' ')).toContain(rule)
  })

  test.each(ALLOWED)('allow %s: %j', (file) => {
    expect(found.filter((each) => each.filename === file)).toEqual([])
  })
})

describe('the sources, where lint cannot tell', () => {
  const files = sources(join(ROOT, 'src'))

  // A value import would cost every command the 60 to 125 ms that loading these takes; s3-sdk.ts says what of the SDK is used.
  test.each(['ssh2', '@aws-sdk/', './s3-sdk.js'])('load %s only when it is used', (name) => {
    const eager = new RegExp(`^(?:import|export) (?!type )[^']*from '${name}`, 'mu')
    const lazy = files.filter((file) => !file.endsWith('/s3-sdk.ts'))
    expect(lazy.filter((file) => eager.test(readFileSync(file, 'utf8')))).toEqual([])
  })

  test('take nothing of the environment by destructuring process', () => {
    const taken = /\benv\b[^}]*\}\s*=\s*process\b/u
    const outside = files.filter((file) => !relative(ROOT, file).startsWith('src/lib/settings/'))
    expect(outside.filter((file) => taken.test(readFileSync(file, 'utf8')))).toEqual([])
  })

  test('hold no barrel and no drawer for odds and ends', () => {
    const names = files.map((file) => relative(ROOT, file))
    expect(
      names.filter((name) => /(?:^|\/)(?:index|utils?|helpers?|common|misc)\.ts$/u.test(name)),
    ).toEqual([])
  })
})

function lint(folder: string): readonly Diagnostic[] {
  const oxlint = join(ROOT, 'node_modules/.bin/oxlint')
  try {
    execFileSync(oxlint, ['--format=json', '.'], {cwd: folder, encoding: 'utf8', timeout: 30_000})
  } catch (error) {
    // Exit 1 is what findings give; anything else has no JSON and fails the parse.
    return (JSON.parse((error as {stdout: string}).stdout) as {diagnostics: Diagnostic[]})
      .diagnostics
  }
  return []
}

function sources(folder: string): string[] {
  return readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith('.ts'))
    .map((name) => resolve(folder, name))
}
