import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {randomBytes} from 'node:crypto'
import {mkdirSync, readdirSync} from 'node:fs'
import {mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {runSecret} from '../../src/lib/seal/derive.js'
import {HEADER_LENGTH, parseHeader} from '../../src/lib/seal/sealed-object.js'
import {parseSecretText} from '../../src/lib/seal/secret-text.js'
import {openSlot, parseSlot} from '../../src/lib/seal/slot.js'
import {lendHelpers} from '../support/lent-home.js'
import {SecretHunt} from '../support/secret-hunt.js'
import {type Sshd, sshdAvailable, startSshd} from '../support/sshd.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {type Outcome, startDumont} from './dumont.js'
import {credentials, type Operator, startOperator} from './operator.js'
import {scratch} from './trees.js'

const possible = sshdAvailable() && findVersitygw() !== undefined
const whereBothAre = possible ? describe : describe.skip

/** What an operator has in the environment; the box, the store and every disk and line of output must never see it. */
const PLANTED = {
  DUMONT_PASSPHRASE: 'planted passphrase correct horse',
  LAMBDA_API_KEY: 'planted-lambda-key-0123456789abcdef',
  RUNPOD_API_KEY: 'planted-runpod-key-0123456789abcdef',
  VAST_API_KEY: 'planted-vast-key-0123456789abcdef',
}
/** Where keys were written because the operator said so. */
const KEY_FILES = ['recovery', 'recovery-2', 'second.key', 'exported.key']
const WRONG_SECRET = 'planted-wrong-secret-access-key'
/** What a workspace holds; in a sealed store nothing of it can be read. */
const CONTENT = 'planted-content-of-the-workspace'

/** Everything dumont writes, shows and starts while it does all it can do, looked through for secrets afterwards. */
whereBothAre('no secret is to be found', () => {
  let box: Sshd
  let server: Versitygw
  let operator: Operator
  let folder: string
  let remove: () => Promise<void>
  const hunt = new SecretHunt()
  const outcomes: Outcome[] = []
  const operators = new Set<number>()
  const inFolder = (name: string) => join(folder, name)

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    for (const name of ['box-home', 'box-tmp', 'tmp', 'cwd']) mkdirSync(inFolder(name))
    lendHelpers(inFolder('box-home'))
    box = await startSshd({env: {HOME: inFolder('box-home'), TMPDIR: inFolder('box-tmp')}})
    server = await startVersitygw()
    operator = await startOperator(box)
    lendHelpers(operator.home)
    await mkdir(inFolder('workspace'))
    await writeFile(inFolder('workspace/.env'), `TOKEN=${CONTENT}\n`)
    await writeFile(inFolder('workspace/weights'), randomBytes(20 << 20))
    const stop = hunt.watch([folder, operator.home], (pid) => operators.has(pid))
    await everything().finally(stop)
  })
  afterAll(async () => {
    await box?.close()
    await server?.close()
    await operator?.remove()
    await remove?.()
  })

  async function run(
    argv: readonly string[],
    env: Record<string, string> = {},
    signal?: NodeJS.Signals,
  ) {
    const running = startDumont(argv, {
      cwd: inFolder('cwd'),
      env: {...credentials(server), ...PLANTED, TMPDIR: inFolder('tmp'), ...env},
      home: operator.home,
    })
    operators.add(running.child.pid ?? 0)
    if (signal) {
      await running.printed(/"phase":"transfer"/u)
      running.child.kill(signal)
    }
    const outcome = await running.ended
    outcomes.push(outcome)
    return outcome
  }

  /** Every way to reach a box and a store, well and badly, talkative and quiet. */
  async function everything(): Promise<void> {
    const s3 = ['--store', `s3://${server.bucket}/sealed`, '--endpoint', server.endpoint]
    const ssh = ['--host', operator.host(box), ...s3]
    const local = ['--host', 'local', '--store', pathToFileURL(inFolder('store')).href]
    const debug = {DEBUG: 'dumont*'}
    const workspace = inFolder('workspace')
    const create = ['snapshot', 'create', ...ssh, workspace]
    const first = await run([...create, '--recovery-file', inFolder('recovery')], debug)
    expect(first).toMatchObject({code: 0})
    await run([...create, '--json-stream'], debug)
    await writeFile(inFolder('workspace/more'), randomBytes(30 << 20))
    await run([...create, '--json-stream'], debug, 'SIGQUIT')
    await run([...create, '--json'])
    const restored = ['snapshot', 'restore', 'latest', '--target']
    expect(await run([...restored, inFolder('box-home/restored'), ...ssh], debug)).toMatchObject({
      code: 0,
    })
    expect(await run(['snapshot', 'create', ...local, workspace], debug)).toMatchObject({code: 0})
    expect(await run([...restored, inFolder('restored'), ...local, '--json'], debug)).toMatchObject(
      {code: 0},
    )
    for (const command of ['list', 'show latest', 'verify latest --level decoded'])
      await run(['snapshot', ...command.split(' '), ...s3, '--json'], debug)
    await run(['doctor', ...ssh, '--json'], debug)
    await everyKey(s3, debug)
    expect(await run(create, debug)).toMatchObject({code: 0})
    // Failures tell most.
    await run(create, {...debug, AWS_SECRET_ACCESS_KEY: WRONG_SECRET})
    await run(create.with(create.indexOf(server.endpoint), 'http://127.0.0.1:1'), debug)
    await run(['snapshot', 'delete', 'latest', '--yes', ...s3], debug)
  }

  /** Makes, uses and replaces keys of every kind. A new kind belongs here, and its file among KEY_FILES. */
  async function everyKey(s3: readonly string[], debug: Record<string, string>): Promise<void> {
    await writeFile(inFolder('passphrase'), `${PLANTED.DUMONT_PASSPHRASE}\n`, {mode: 0o600})
    const key = async (...argv: string[]) =>
      expect(await run(['key', ...argv, ...s3], debug)).toMatchObject({code: 0})
    await key('add', '--file', inFolder('second.key'), '--label', 'another machine')
    await key('export', '--to', inFolder('exported.key'))
    await key('add', '--passphrase-from', inFolder('passphrase'))
    await key('list', '--json')
    await key('rotate', '--yes', '--recovery-file', inFolder('recovery-2'))
    // A machine without a key file: the passphrase in its environment opens the store.
    const elsewhere = inFolder('elsewhere')
    await mkdir(elsewhere)
    const opened = await run(['snapshot', 'list', ...s3, '--json'], {...debug, HOME: elsewhere})
    expect(opened).toMatchObject({code: 0})
  }

  async function plantAll(): Promise<void> {
    for (const [name, value] of Object.entries(PLANTED)) hunt.plant(name, value)
    hunt.plant('the secret access key', server.secretAccessKey)
    hunt.plant('a wrong secret access key', WRONG_SECRET)
    hunt.plant('a presigned URL', 'X-Amz-Signature=')
    hunt.plant('a URL of the gateway', '&signature=')
    const identity = await readFile(box.identityFile, 'utf8')
    hunt.plant('the SSH key', identity.split('\n')[2] ?? '')
    await plantKeys()
  }

  /** What opens the stores: key files, recovery text, masters, and what was derived from them for each run. */
  async function plantKeys(): Promise<void> {
    const files = [...(await keyFiles()), ...KEY_FILES.map(inFolder)]
    expect(files).toHaveLength(KEY_FILES.length + 2)
    for (const file of files) {
      expect((await stat(file)).mode & 0o077).toBe(0)
      const text =
        (await readFile(file, 'utf8')).split('\n').find((line) => line.startsWith('dumont-key')) ??
        ''
      const bytes = parseSecretText(text)
      if (!bytes) throw new Error(`no key in ${file}`)
      const letters = text.replace('dumont-key-', '')
      hunt.plant(`the text of ${file}`, letters)
      hunt.plant(`the text of ${file} without dashes`, letters.replaceAll('-', ''))
      hunt.plant(`the key of ${file}`, bytes)
      for (const store of [join(server.root, 'sealed'), inFolder('store')])
        await plantMasters(store, bytes)
    }
  }

  async function plantMasters(store: string, bytes: Buffer): Promise<void> {
    for (const name of await readdir(join(store, 'keys'))) {
      const slot = parseSlot(await readFile(join(store, 'keys', name)))
      const keyring = await openSlot(slot, {kind: 'drawn', bytes}).catch(() => undefined)
      const repository = Buffer.from(slot.repository, 'hex')
      for (const {key} of keyring?.masters ?? []) {
        hunt.plant('a master', key)
        for (const salt of await runSalts(store, repository))
          hunt.plant('the secret of a run', runSecret(key, salt, repository))
      }
    }
  }

  async function runSalts(store: string, repository: Buffer): Promise<Buffer[]> {
    const names = readdirSync(join(store, 'packs'), {encoding: 'utf8', recursive: true}).filter(
      (name) => /\d+-\d+-\d+$/u.test(name),
    )
    const found = await Promise.all(
      names.map(async (name) => {
        const bytes = await readFile(join(store, 'packs', name))
        return parseHeader(bytes.subarray(0, HEADER_LENGTH), 'pack', repository).runSalt
      }),
    )
    expect(found.length).toBeGreaterThan(0)
    return found
  }

  async function keyFiles(): Promise<string[]> {
    const folderOfKeys = join(operator.home, '.local/share/dumont/keys')
    return (await readdir(folderOfKeys)).map((name) => join(folderOfKeys, name))
  }

  test('in files, output, arguments or environments', async () => {
    await plantAll()
    expect(hunt.processes.size).toBeGreaterThan(10)
    const isSource = (path: string) => /(?:^|\/)(?:native-|worker-|wheels)/u.test(path)
    hunt.lookBelow(inFolder('box-home'), isSource)
    hunt.lookBelow(
      operator.home,
      (path) =>
        isSource(path) ||
        path.startsWith('.ssh') ||
        /^\.local\/share\/dumont\/keys\/.*\.key$/u.test(path),
    )
    for (const name of ['box-tmp', 'tmp', 'cwd', 'elsewhere', 'store'])
      hunt.lookBelow(inFolder(name))
    hunt.lookBelow(server.root)
    hunt.look('the log of sshd', box.log())
    for (const [number, {stderr, stdout}] of outcomes.entries()) {
      hunt.look(`stdout of command ${number}`, stdout)
      hunt.look(`stderr of command ${number}`, stderr)
    }
    expect(hunt.sightings).toEqual([])
    expect(hunt.looked).toBeGreaterThan(20 << 20)
  })

  test('of the workspace in a sealed store', () => {
    const content = new SecretHunt()
    content.plant('what a file holds', CONTENT)
    content.plant('the name of a file', 'workspace/weights')
    content.lookBelow(inFolder('store'))
    content.lookBelow(server.root)
    expect(content.sightings).toEqual([])
    expect(content.looked).toBeGreaterThan(20 << 20)
  })
})
