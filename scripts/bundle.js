// Builds dist/*.js: every command with the parts of our packages that it uses, in a few files. Loading hundreds of modules
// one by one costs a start more than half of its time, and several times as much when nothing of them is in memory.
import {readdirSync, rmSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {build} from 'esbuild'
import {ROOT} from './run-step.js'

const SOURCES = join(ROOT, 'src')
const DIST = join(ROOT, 'dist')

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

const {metafile} = await build({
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
  metafile: true,
  outbase: SOURCES,
  outdir: DIST,
  platform: 'node',
  sourcemap: true,
  sourcesContent: false,
  splitting: true,
  target: 'node20.19',
})

// What an earlier build left goes last, so that a command that runs meanwhile finds its parts.
const made = new Set(Object.keys(metafile.outputs).map((file) => resolve(file)))
for (const entry of readdirSync(DIST, {recursive: true, withFileTypes: true})) {
  const file = join(entry.parentPath, entry.name)
  if (entry.isFile() && /\.js(?:\.map)?$/u.test(entry.name) && !made.has(file)) rmSync(file)
}

function below(folder) {
  return readdirSync(join(SOURCES, folder), {recursive: true})
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}
