// Builds dist/*.js: every command with the parts of our packages that it uses, in a few files. Loading hundreds of modules
// one by one costs a start more than half of its time, and several times as much when nothing of them is in memory.
import {readdirSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {build} from 'esbuild'
import {ROOT} from './run-step.js'

const SOURCES = join(ROOT, 'src')

/** What oclif loads by name; the rest follows from what these import. */
const ENTRIES = ['main.ts', 'help.ts', ...below('commands'), ...below('hooks')]

// Packages written as CommonJS modules ask for these.
const COMMON_JS = [
  "import {createRequire as dumontRequire} from 'node:module'",
  "import {dirname as dumontDirname} from 'node:path'",
  "import {fileURLToPath as dumontPath} from 'node:url'",
  'const require = dumontRequire(import.meta.url)',
  'const __filename = dumontPath(import.meta.url)',
  'const __dirname = dumontDirname(__filename)',
].join('\n')

rmSync(join(ROOT, 'dist'), {force: true, recursive: true})
await build({
  banner: {js: COMMON_JS},
  bundle: true,
  // As deep as the sources, so that what lies beside them is found by the same relative path.
  chunkNames: 'lib/parts/[name]-[hash]',
  entryPoints: ENTRIES.map((entry) => join(SOURCES, entry)),
  // Its compiled half is found on disk only.
  external: ['ssh2'],
  format: 'esm',
  logLevel: 'warning',
  mainFields: ['module', 'main'],
  outbase: SOURCES,
  outdir: join(ROOT, 'dist'),
  platform: 'node',
  sourcemap: true,
  sourcesContent: false,
  splitting: true,
  target: 'node20.19',
})

function below(folder) {
  return readdirSync(join(SOURCES, folder), {recursive: true})
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}
