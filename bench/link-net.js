import {spawn, spawnSync} from 'node:child_process'
import {mkdirSync, openSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {once} from 'node:events'
import {setTimeout as delay} from 'node:timers/promises'
import {ROOT} from '../scripts/run-step.js'
import {BenchFailed} from './data.js'
import {ACCOUNT} from './server.js'

const STORE = `dumont-store-${process.pid}`
const BOX = `dumont-box-${process.pid}`
const STORE_ADDRESS = '10.213.7.1'
const BOX_ADDRESS = '10.213.7.2'
const PORT = 7070
const PROXY_PORT = 7071
const QUEUE_MS = 50

/** Two network namespaces, a store in one, joined by a link whose rate can be set. Needs root; gone when the process ends. */
export async function makeLink({path, work}) {
  const children = []
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    for (const name of [STORE, BOX]) removeNamespace(name)
  })
  for (const name of [STORE, BOX]) ip('netns', 'add', name)
  ip('link', 'add', 'dumont0', 'netns', STORE, 'type', 'veth', 'peer', 'dumont0', 'netns', BOX)
  for (const [name, address] of [
    [STORE, STORE_ADDRESS],
    [BOX, BOX_ADDRESS],
  ]) {
    // Packets of a real network's size, more or less: a lost one must not be 64 KB.
    ip('-n', name, 'link', 'set', 'dumont0', 'gso_max_size', '6000')
    ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'dumont0')
    for (const device of ['lo', 'dumont0']) ip('-n', name, 'link', 'set', device, 'up')
  }
  // The store's buffers must not hide a stall.
  const memory =
    "echo '4096 131072 524288' | tee /proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/tcp_wmem"
  ip('netns', 'exec', STORE, 'bash', '-c', memory)
  const start = (argv, options) => {
    const child = spawn('ip', ['netns', 'exec', STORE, ...argv], options)
    children.push(child)
    return child
  }
  const store = startStore({path, start, work})
  await untilAnswering()
  return {
    bucket: 'bucket',
    /** Bytes that have come to the store and left it over the link, headers included. */
    bytes() {
      const text = readFileSync(`/proc/${store.pid}/net/dev`, 'latin1')
      const fields = /dumont0:(?<rest>.*)/.exec(text).groups['rest'].trim().split(/\s+/)
      return {get: Number(fields[8]), put: Number(fields[0])}
    },
    endpoint: `http://${STORE_ADDRESS}:${PORT}`,
    folder: (prefix) => join(work, 'server/bucket', prefix),
    /** The same command, run on the box's side. */
    onBox: (argv) => ['ip', 'netns', 'exec', BOX, ...argv],
    setRate(megabits) {
      for (const name of [STORE, BOX])
        ip('netns', 'exec', name, 'tc', 'qdisc', 'replace', 'dev', 'dumont0', 'root', 'tbf',
          'rate', `${megabits}mbit`, 'burst', '64kb', 'latency', `${QUEUE_MS}ms`) // prettier-ignore
    },
    startProxy: (options) => startProxy(start, options),
  }
}

function startStore({path, start, work}) {
  const root = join(work, 'server')
  mkdirSync(join(root, 'bucket'), {recursive: true})
  const log = openSync(join(work, 'versitygw.log'), 'w')
  const {AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret} = ACCOUNT
  const flags = ['--access', access, '--secret', secret, '--region', ACCOUNT.AWS_REGION]
  const where = ['--port', `${STORE_ADDRESS}:${PORT}`, '--quiet', '--keep-alive']
  return start(['versitygw', ...flags, ...where, 'posix', root], {
    env: {...process.env, PATH: path},
    stdio: ['ignore', log, log],
  })
}

async function untilAnswering() {
  const probe = `exec 3<>/dev/tcp/${STORE_ADDRESS}/${PORT}`
  for (let attempt = 0; attempt < 200; attempt++) {
    if (spawnSync('ip', ['netns', 'exec', BOX, 'bash', '-c', probe]).status === 0) return
    await delay(50)
  }
  throw new BenchFailed('the store does not start behind the link')
}

/** Another way to the same store, with latency (milliseconds there and back) and stalls on command. */
async function startProxy(start, {latency = 0, jitter = 0} = {}) {
  const script = join(ROOT, 'bench/link-proxy.js')
  const numbers = [PROXY_PORT, PORT, latency, jitter].map(String)
  const child = start([process.execPath, script, STORE_ADDRESS, ...numbers], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return {
    endpoint: `http://${STORE_ADDRESS}:${PROXY_PORT}`,
    stop: async () => {
      child.stdin.end()
      await once(child, 'exit')
    },
    tell: (command) => child.stdin.write(`${command}\n`),
  }
}

function ip(...args) {
  const {status, stderr} = spawnSync('ip', args, {encoding: 'utf8'})
  if (status !== 0) throw new BenchFailed(`ip ${args.join(' ')}: ${stderr}`)
}

/** Ends what still runs inside, too: nobody else can be there. */
function removeNamespace(name) {
  const {stdout} = spawnSync('ip', ['netns', 'pids', name], {encoding: 'utf8'})
  for (const pid of (stdout ?? '').split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // Ended by itself.
    }
  }
  spawnSync('ip', ['netns', 'delete', name])
}
