import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, statSync} from 'node:fs'
import {connect, createServer} from 'node:net'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {BenchFailed} from './data.js'

const BUCKET = 'bucket'
const TICKS_PER_SECOND = 100

/** For every tool alike; the server lives as long as the benchmark. */
export const ACCOUNT = {
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_REGION: 'us-east-1',
  AWS_SECRET_ACCESS_KEY: 'benchbench',
}

/**
 * versitygw on a free loopback port, objects as files below `work`.
 *
 * @param {{path: string, work: string}} options
 */
export async function startServer({path, work}) {
  const root = join(work, 'server')
  const accessLog = join(work, 'access.log')
  rmSync(root, {force: true, recursive: true})
  rmSync(accessLog, {force: true})
  mkdirSync(join(root, BUCKET), {recursive: true})
  const port = await freePort()
  const flags = {
    access: ACCOUNT.AWS_ACCESS_KEY_ID,
    'access-log': accessLog,
    port: `127.0.0.1:${port}`,
    region: ACCOUNT.AWS_REGION,
    secret: ACCOUNT.AWS_SECRET_ACCESS_KEY,
  }
  const named = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  const log = openSync(join(work, 'versitygw.log'), 'w')
  const child = spawn('versitygw', [...named, '--quiet', '--keep-alive', 'posix', root], {
    env: {...process.env, PATH: path},
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const state = {hasFailed: false}
  for (const event of ['error', 'exit'])
    child.once(event, () => {
      state.hasFailed = true
    })
  process.once('exit', () => child.kill('SIGKILL'))
  for (let attempt = 0; attempt < 400 && !state.hasFailed; attempt++) {
    if (await answers(port)) return server({accessLog, child, port, root})
    await delay(25)
  }
  throw new BenchFailed(`versitygw does not start; see ${join(work, 'versitygw.log')}`)
}

function server({accessLog, child, port, root}) {
  const folder = (prefix) => join(root, BUCKET, prefix)
  return {
    bucket: BUCKET,
    /** Seconds of CPU it has used. */
    cpuSeconds() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    },
    /** Where the objects of a prefix lie. */
    folder,
    endpoint: `http://127.0.0.1:${port}`,
    port,
    /** Requests answered so far. */
    requests: () => readFileSync(accessLog, 'latin1').split('\n').length - 1,
    stop: () => child.kill('SIGKILL'),
    /** Objects below a prefix and their bytes. */
    stored(prefix) {
      const files = readdirSync(folder(prefix), {recursive: true, withFileTypes: true})
        .filter((each) => each.isFile())
        .map((each) => statSync(join(each.parentPath, each.name)).size)
      return {bytes: files.reduce((sum, size) => sum + size, 0), objects: files.length}
    },
  }
}

async function answers(port) {
  const socket = connect(port, '127.0.0.1')
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return connected
}

export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const {port} = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
