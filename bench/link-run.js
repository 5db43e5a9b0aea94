import {GetObjectCommand, PutObjectCommand, S3Client} from '@aws-sdk/client-s3'
import {getSignedUrl} from '@aws-sdk/s3-request-presigner'
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync} from 'node:fs' // prettier-ignore
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {ROOT} from '../scripts/run-step.js'
import {BenchFailed, must} from './data.js'
import {ACCOUNT} from './server.js'
import {environmentOf} from './tools/command.js'
import {dumont as tool} from './tools/dumont.js'

const CONNECTIONS = 32
const LOOK_MS = 50
const LIMIT_MS = 10 * 60_000
const DIRECTION = {create: 'put', restore: 'get'}
const MAKE = `import os, sys
for n in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/random-{n}", "wb") as f:
        for _ in range(16):
            f.write(os.urandom(1 << 20))
`
let count = 0

/** Puts the worker's helpers where they stay: behind the link there is no package index. */
export async function equip({python, work}) {
  const [home, folder] = [join(work, 'home'), join(work, 'equip')]
  rmSync(folder, {force: true, recursive: true})
  mkdirSync(join(folder, 'data'), {recursive: true})
  const store = ['--host', 'local', '--store', `file://${folder}/store`, join(folder, 'data')]
  const argv = [process.execPath, join(ROOT, 'bin/run.js'), 'snapshot', 'create', ...store]
  await must(argv, {env: environmentOf({}, {home, python}), quiet: true})
}

/** What may be run on one place in the store, over a link with this rate, with bytes for so many seconds. */
export async function transfers({endpoint, link, megabits, python, seconds, work}) {
  link.setRate(megabits)
  const prefix = `run-${count++}`
  const home = join(work, 'home')
  const place = {
    bucket: link.bucket,
    endpoint,
    home,
    prefix,
    target: join(work, 'target'),
    workspace: join(work, `workspace-${megabits}`),
  }
  await makeWorkspace(place.workspace, Math.ceil((megabits * seconds) / 8 / 16.8), python)
  rmSync(place.target, {force: true, recursive: true})
  mkdirSync(place.target, {recursive: true})
  const folder = link.folder(prefix)
  const context = {endpoint, folder, home, link, megabits, python, work}
  return {
    dumont: (step, stall) => {
      const command = tool()[step](place)
      const env = environmentOf(command, {home, python})
      return watched({...command, env}, step, stall, context)
    },
    place,
    plain: async (step, stall) => {
      const objects = await plainObjects(step, context)
      const input = JSON.stringify({connections: CONNECTIONS, method: step === 'create' ? 'PUT' : 'GET', objects}) // prettier-ignore
      const argv = [python, join(ROOT, 'bench/link_plain.py')]
      return watched({argv, env: {}, input: `${input}\n`}, step, stall, context)
    },
    remove: () => {
      for (const path of [folder, place.target]) rmSync(path, {force: true, recursive: true})
    },
  }
}

async function makeWorkspace(folder, files, python) {
  if (existsSync(folder) && readdirSync(folder).length === files) return
  rmSync(folder, {force: true, recursive: true})
  mkdirSync(folder, {recursive: true})
  await must([python, '-c', MAKE, folder, String(files)], {quiet: true})
}

/** The packs of the create, each to be sent again under a name of its own, or to be fetched. */
async function plainObjects(step, {endpoint, folder, link}) {
  const client = new S3Client({
    credentials: {accessKeyId: ACCOUNT.AWS_ACCESS_KEY_ID, secretAccessKey: ACCOUNT.AWS_SECRET_ACCESS_KEY}, // prettier-ignore
    endpoint,
    forcePathStyle: true,
    region: ACCOUNT.AWS_REGION,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const prefix = folder.slice(link.folder('').length)
  const suffix = step === 'create' ? `.plain` : ''
  const objects = packsIn(folder).map(async ({length, path}) => {
    const where = {Bucket: link.bucket, Key: `${prefix}${path.slice(folder.length)}${suffix}`}
    const command = step === 'create' ? new PutObjectCommand(where) : new GetObjectCommand(where)
    return {headers: {}, length, path, url: await getSignedUrl(client, command)}
  })
  return Promise.all(objects)
}

function packsIn(folder) {
  return bodiesIn(join(folder, 'packs')).filter(({path}) => !path.endsWith('.plain'))
}

function bodiesIn(folder) {
  return readdirSync(folder, {recursive: true, withFileTypes: true})
    .filter((each) => each.isFile())
    .map(({name, parentPath}) => join(parentPath, name))
    .map((path) => ({length: statSync(path).size, path}))
}

/** Runs a transfer and looks at the link meanwhile. Rate (bytes of packs a second) and tail are those of the packs alone. */
async function watched({argv, env, input}, step, stall, context) {
  const {folder, link, megabits, work} = context
  const log = openSync(join(work, 'step.log'), 'w')
  const [program, ...args] = link.onBox(argv)
  const samples = []
  const begun = performance.now()
  const look = () =>
    samples.push([(performance.now() - begun) / 1000, link.bytes()[DIRECTION[step]]])
  look()
  const child = spawn(program, args, {
    cwd: ROOT,
    env: {...process.env, ...env},
    stdio: [input === undefined ? 'ignore' : 'pipe', log, log],
    timeout: LIMIT_MS,
  })
  closeSync(log)
  child.stdin?.end(input)
  const timer = setInterval(look, LOOK_MS)
  const done = once(child, 'exit')
  const released = stall ? await stalling(stall, child, {begun, link, megabits, step}) : undefined
  const [code] = await done
  clearInterval(timer)
  look()
  if (code !== 0)
    throw new BenchFailed(`${step}: ${readFileSync(join(work, 'step.log'), 'utf8').slice(-2000)}`)
  return figures({folder, input, released, samples, step})
}

/** Stalls as soon as a fifth of a second's worth has passed twenty times; gives the second of the end of the stall. */
async function stalling({kind, seconds, tell}, child, {begun, link, megabits, step}) {
  const first = link.bytes()[DIRECTION[step]]
  const wanted = (4 * megabits * 1e6) / 8
  while (link.bytes()[DIRECTION[step]] - first < wanted && child.exitCode === null)
    await delay(LOOK_MS)
  if (kind === 'one for ever') tell('hold-one')
  if (!kind.startsWith('all')) return undefined
  tell('hold')
  await delay(seconds * 1000)
  tell('release')
  return (performance.now() - begun) / 1000
}

function figures({folder, input, released, samples, step}) {
  const packs = packsIn(folder).reduce((sum, {length}) => sum + length, 0)
  const index = input
    ? 0
    : bodiesIn(join(folder, 'index')).reduce((sum, {length}) => sum + length, 0)
  const [, first] = samples[0]
  const total = samples.at(-1)[1] - first
  const at = (share) => samples.find(([, bytes]) => bytes - first >= share * total)[0]
  // A create sends its index last, a restore fetches it first; a thousandth is handshakes and farewells.
  const share = packs / (packs + index)
  const [from, to] = step === 'create' ? [0.001, share - 0.001] : [1.001 - share, 0.999]
  const end = at(to)
  return {
    packs,
    rate: (packs * (to - from)) / share / (end - at(from)),
    recovery: released && recovery(samples, released),
    samples,
    tail: end - at(from + 0.95 * (to - from)),
    wall: samples.at(-1)[0],
  }
}

/** Seconds from the end of a stall until half a second passes at nine tenths of the usual rate before it. */
function recovery(samples, released) {
  const rates = samples.map(([second, bytes], at) => {
    const [earlier, before] = samples[Math.max(0, at - 10)]
    return {rate: (bytes - before) / (second - earlier || 1), second}
  })
  const usual = rates.filter(({rate, second}) => second < released - 5.5 && rate > 0)
  const steady = usual.map(({rate}) => rate).toSorted((a, b) => a - b)[usual.length >> 1]
  const back = rates.find(({rate, second}) => second > released + 0.5 && rate > 0.9 * steady)
  return back && back.second - released
}
