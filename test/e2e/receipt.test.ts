import {randomBytes} from 'node:crypto'
import {mkdir, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {systemClock} from '../../src/lib/clock.js'
import {identifyBox} from '../../src/lib/instances/box-identity.js'
import {openBoxTools} from '../../src/lib/instances/box-tools.js'
import {freeze} from '../../src/lib/instances/freeze.js'
import {proveReceipt} from '../../src/lib/instances/receipt.js'
import type {
  Receipt,
  ReceiptOutcome,
  ReceiptRequest,
  ReceiptService,
} from '../../src/lib/instances/receipt-terms.js'
import {recheckReceipt} from '../../src/lib/instances/recheck.js'
import {lookForWriters} from '../../src/lib/instances/stillness.js'
import {stopProcesses} from '../../src/lib/instances/stop-processes.js'
import {proves} from '../../src/lib/providers/destroy-proof.js'
import type {Instance, Provider} from '../../src/lib/providers/provider.js'
import type {Session} from '../../src/lib/remote/session.js'
import {openSshSession} from '../../src/lib/remote/ssh-session.js'
import {openStore} from '../../src/lib/store/open-store.js'
import type {Store} from '../../src/lib/store/store.js'
import {canContain, startContainer, type Container} from '../support/container.js'
import {loopbackTarget, quietDependencies} from '../support/ssh-target.js'
import {settled} from '../support/manual-clock.js'
import {sshdAvailable} from '../support/sshd.js'
import {findVersitygw, startVersitygw} from '../support/versitygw.js'
import {answered} from './dumont.js'
import {natives} from './natives.js'
import {startOperator, type Operator} from './operator.js'
import {scratch} from './trees.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: tests of receipts need sshd and the right to make containers')

const whereS3Is = findVersitygw() === undefined ? describe.skip : describe

whereContainersAre('a receipt for a container', () => {
  let box: Container
  let operator: Operator
  let session: Session
  let store: Store
  let folder: string
  let remove: () => Promise<void>
  let url: string

  let snapshotId: string

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    const path = join(folder, 'store')
    url = pathToFileURL(path).href
    box = await startContainer({env: {CONTAINER_ID: '77', SECRET: 'never'}, lent: await natives()})
    operator = await startOperator(box)
    session = await openSshSession(loopbackTarget(box), quietDependencies())
    store = await openStore({kind: 'directory', path}, {clock: systemClock})
    await mkdir(box.at('/workspace/run'), {recursive: true})
    await writeFile(box.at('/workspace/run/weights'), randomBytes(300_000))
    await writeFile(box.at('/workspace/run/\u00FCnicode name'), 'a')
    await writeFile(box.at('/workspace/empty'), '')
    await symlink('run/weights', box.at('/workspace/latest'))
    snapshotId = await create()
  })
  afterAll(async () => {
    await session?.close()
    await store?.close()
    await box?.close()
    await operator?.remove()
    await remove?.()
  })

  const service = (): ReceiptService => ({
    clock: systemClock,
    random: randomBytes,
    report: () => {},
    store,
  })
  const tools = () => openBoxTools(session)
  const create = async (...argv: string[]): Promise<string> => {
    // Receipts are proven here by a reader without keys.
    const where = ['--host', operator.host(box), '--store', url, '--no-encryption']
    const {code, id} = await answered(['snapshot', 'create', ...where, ...argv, '/workspace'], {
      home: operator.home,
    })
    if (code !== 0 && code !== 3) throw new Error(`create ended with ${code}`)
    return id
  }
  const ask = async (changes: Partial<ReceiptRequest> = {}): Promise<ReceiptRequest> => {
    const connection = {account: 'me', instance: INSTANCE, provider: vendor(), session}
    const before = await identifyBox(await tools(), connection, randomBytes)
    return {
      ...connection,
      acceptGpuOnly: false,
      before,
      discard: [],
      level: 'decoded',
      lifecycleAcknowledged: false,
      sample: 0.05,
      snapshotId,
      storeNamed: true,
      survives: [],
      ...changes,
    }
  }
  const prove = async (changes: Partial<ReceiptRequest> = {}): Promise<ReceiptOutcome> =>
    proveReceipt(service(), await ask(changes))
  const receiptOf = (outcome: ReceiptOutcome): Receipt => {
    if (outcome.kind === 'proven') return outcome.receipt
    throw new Error(JSON.stringify(outcome.refusals))
  }
  const refusalsOf = (outcome: ReceiptOutcome) =>
    outcome.kind === 'proven' ? [] : outcome.refusals
  /** What stands in the way while something is so; it is undone afterwards. */
  const whileSo = async (
    make: readonly string[],
    undo: readonly string[],
    changes?: Partial<ReceiptRequest>,
  ) => {
    box.run('sh', '-ec', ...make)
    try {
      return refusalsOf(await prove(changes))
    } finally {
      box.run('sh', '-ec', ...undo)
    }
  }
  /** A program on the box that goes on until it is stopped, as another login would have started it. */
  const startWriter = async (script: string): Promise<number> => {
    box.run('sh', '-c', `setsid python3 -c "${script}" </dev/null >/tmp/ready 2>&1 &`)
    for (let tries = 0; tries < 100; tries += 1) {
      const pid = Number(box.run('cat', '/tmp/ready').trim())
      if (pid > 0) return pid
      await settled()
    }
    throw new Error('the writer did not start')
  }

  test('is given when everything is in the store, and says who saw what', async () => {
    const receipt = receiptOf(await prove())
    expect(proves(receipt.proof, {id: '77', provider: 'vast'}, Date.now())).toBe(true)
    expect(proves(receipt.proof, {id: '77', provider: 'vast'}, receipt.issuedAt + 600_000)).toBe(
      false,
    )
    expect(receipt).toMatchObject({discarded: [], roots: ['/workspace'], snapshotId, storeUrl: url})
    const listing = receipt.checks.find(({rule, by}) => rule === 'disk' && by === 'box')
    expect(listing?.figures).toEqual({bytes: 300_001, dirs: 2, files: 3, others: 0, symlinks: 1})
    const sample = receipt.checks.find(({rule, by}) => rule === 'disk' && by === 'operator')
    expect(sample?.figures).toMatchObject({bytes: 300_001, files: 2})
    const census = receipt.checks.find(({rule}) => rule === 'census')
    expect(census?.paths?.map(({reason}) => reason)).toContain(
      'accounts that image and vendor set up',
    )
    expect(JSON.stringify(receipt)).not.toContain('never')
  })

  describe('is refused', () => {
    test('for a file outside the roots, with its size, until it is given up by name', async () => {
      const make = ['mkdir -p /opt/mine && head -c 1234 /dev/zero >/opt/mine/model']
      const undo = ['rm -r /opt/mine']
      const refusals = await whileSo(make, undo)
      expect(refusals).toMatchObject([
        {bytes: 1234, paths: [{bytes: 1234, files: 1, path: '/opt/mine/'}], rule: 'census'},
      ])
      expect(await whileSo(make, undo, {discard: ['/opt/mine/']})).toEqual([])
      expect(await whileSo(make, undo, {discard: ['/opt/min']})).toMatchObject([{rule: 'census'}])
    })
    test('for what a mount below a root holds, unless the vendor keeps it', async () => {
      const make = [
        'mkdir -p /mnt && mount -t tmpfs -o size=1m data /mnt && mkdir /mnt/a && echo x >/mnt/a/x && mkdir /workspace/run/a && mount --bind /mnt/a /workspace/run/a',
      ]
      const undo = [
        'umount /workspace/run/a && rmdir /workspace/run/a && umount /mnt && rmdir /mnt && touch -d @1700000000 /workspace/run',
      ]
      // Memory is told, not refused; the new directory is none of the snapshot, yet holds nothing.
      expect(await whileSo(make, undo)).toEqual([])
      const bind = [
        'mkdir -p /opt/real/a && echo x >/opt/real/a/x && mkdir /workspace/run/a && mount --bind /opt/real /workspace/run/a',
      ]
      const unbind = ['umount /workspace/run/a && rmdir /workspace/run/a && rm -r /opt/real']
      const refused = await whileSo(bind, unbind, {discard: ['/opt/real']})
      expect(refused).toMatchObject([{paths: [{path: '/workspace/run/a/a/'}], rule: 'census'}])
      const kept = {discard: ['/opt/real'], survives: ['/workspace/run/a']}
      expect(await whileSo(bind, unbind, kept)).toEqual([])
    })
    test('for a file that is new since the snapshot', async () => {
      const refusals = await whileSo(['echo new >/workspace/run/log'], ['rm /workspace/run/log'])
      expect(refusals).toMatchObject([
        {bytes: 4, paths: [{path: '/workspace/run/'}], rule: 'census'},
      ])
    })
    test('for a file that changed since the snapshot', async () => {
      const refusals = await whileSo(['chmod 600 /workspace/empty'], ['chmod 644 /workspace/empty'])
      expect(refusals).toMatchObject([{paths: [{path: '/workspace/empty'}], rule: 'disk'}])
    })
    test('for a file that is gone since the snapshot', async () => {
      const refusals = await whileSo(['mv /workspace/empty /tmp/'], ['mv /tmp/empty /workspace/'])
      expect(refusals).toMatchObject([{paths: [{path: '/workspace/empty'}], rule: 'disk'}])
    })
    test('for bytes that changed behind an unchanged time and size', async () => {
      const change = (from: string, to: string) => [
        `cp -p "$1" /tmp/old && printf ${to} | dd of="$1" bs=1 conv=notrunc status=none && touch -r /tmp/old "$1" # ${from}`,
        'sh',
        '/workspace/run/\u00FCnicode name',
      ]
      const refusals = await whileSo(change('a', 'b'), change('b', 'a'))
      expect(refusals).toMatchObject([
        {message: '1 of 2 files hold something else on the box than in the store', rule: 'disk'},
      ])
    })
    test('for what rules left out', async () => {
      const made = ['mkdir /workspace/tmpdata && echo 12345 >/workspace/tmpdata/x']
      box.run('sh', '-ec', ...made)
      try {
        const other = await create('--exclude', 'tmpdata')
        expect(refusalsOf(await prove({snapshotId: other}))).toMatchObject([
          {bytes: 6, paths: [{path: '/workspace/tmpdata/'}], rule: 'census'},
        ])
        const given = receiptOf(await prove({discard: ['/workspace/tmpdata'], snapshotId: other}))
        expect(given.discarded).toEqual(['/workspace/tmpdata'])
      } finally {
        box.run('rm', '-r', '/workspace/tmpdata')
      }
    })
    test('for another box, another boot, and another start of the container', async () => {
      const {before} = await ask()
      const wrong = [
        {before: {...before, bootId: before.bootId.replace(/^./, 'x')}},
        {before: {...before, started: before.started - 1}},
      ]
      for (const changes of wrong)
        expect(refusalsOf(await prove(changes))).toMatchObject([{rule: 'identity'}])
      const instance = {...INSTANCE, id: '78'}
      const twin = {...(await ask()), instance, provider: vendor({id: '78'})}
      expect(refusalsOf(await proveReceipt(service(), twin))).toMatchObject([
        {message: expect.stringContaining('the box says that it is 77, not 78'), rule: 'identity'},
        {rule: 'identity'},
      ])
    })
    test.each([
      ['is stopped', {phase: 'stopped', state: 'exited'}],
      ['is a twin by id', {createdAt: 1_790_000_000_001}],
      ['is gone', {phase: 'gone'}],
    ] as const)('when the vendor says that the instance %s', async (_what, changes) => {
      expect(refusalsOf(await prove({provider: vendor(changes)}))).toMatchObject([
        {rule: 'identity'},
      ])
    })
    test('when a pack went missing or bad after the commit', async () => {
      const [pack] = (await readdir(join(folder, 'store/packs', snapshotId))).map((name) =>
        join(folder, 'store/packs', snapshotId, name),
      )
      const bytes = await readFile(pack ?? '')
      await rm(pack ?? '')
      expect(refusalsOf(await prove())).toMatchObject([{rule: 'packs'}, {rule: 'disk'}])
      await writeFile(
        pack ?? '',
        bytes.map((byte, at) => (at === 200 ? byte ^ 1 : byte)),
      )
      expect(refusalsOf(await prove())).toMatchObject([{rule: 'packs'}, {rule: 'disk'}])
      await writeFile(pack ?? '', bytes)
      receiptOf(await prove())
    })
    test('when the directory of the store was not named', async () => {
      expect(refusalsOf(await prove({storeNamed: false}))).toMatchObject([{rule: 'endurance'}])
    })
    test.each([
      ['says nothing', 'exit 0', 'disk'],
      ['fails', 'exit 1', 'disk'],
      ['says things twice', '/opt/find "$@" && /opt/find "$@"', 'disk'],
      ['is cut short', '/opt/find "$@" | head -c 150', 'disk'],
      ['says something else', "printf 'f\\0no\\0'", 'disk'],
    ])('when find %s', async (_what, deed, rule) => {
      const liar = `#!/bin/sh\ncase "$*" in *%C@*) ${deed};; *) exec /opt/find "$@";; esac\n`
      await writeFile(box.at('/opt/liar'), liar, {mode: 0o755})
      const make = ['cp /usr/bin/find /opt/find && mount --bind /opt/liar /usr/bin/find']
      const undo = ['umount /usr/bin/find && rm /opt/find /opt/liar']
      const discard = ['/opt/find', '/opt/liar', '/usr/bin/find']
      const refusals = await whileSo(make, undo, {discard})
      expect(refusals.map((refusal) => refusal.rule)).toContain(rule)
    })
  })

  describe('and processes that write', () => {
    const OPEN =
      "import os,time; f=open('/workspace/run/weights','r+b'); print(os.getpid(),flush=True); time.sleep(600)"
    const MAPPED =
      "import os,time,mmap; f=open('/workspace/run/weights','r+b'); m=mmap.mmap(f.fileno(),0); f.close(); os.close(3) if os.path.exists('/proc/self/fd/3') else 0; print(os.getpid(),flush=True); time.sleep(600)"
    const STUBBORN = `import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); ${OPEN}`
    const stop = (pid: number) => box.run('sh', '-c', `kill -9 ${pid}; rm -f /tmp/ready; exit 0`)

    test.each([
      ['open file', OPEN],
      ['shared mapping', MAPPED],
    ])('refuse by an %s', async (_what, script) => {
      const pid = await startWriter(script)
      const refusals = refusalsOf(await prove())
      stop(pid)
      expect(refusals).toMatchObject([
        {message: `not still: python3 (${pid}) writes /workspace/run/weights`, rule: 'stillness'},
      ])
    })
    test('are asked, then killed when told to', async () => {
      const pid = await startWriter(STUBBORN)
      const {restless} = await lookForWriters(await tools(), ['/workspace'])
      expect(restless.map((one) => one.pid)).toEqual([pid])
      const slept: number[] = []
      const clock = {
        ...systemClock,
        sleep: async (milliseconds: number) => void slept.push(milliseconds),
      }
      await stopProcesses(await tools(), restless, clock)
      expect(slept.length).toBeGreaterThanOrEqual(20)
      stop(pid)
      receiptOf(await prove())
    })
    test('do not count while they are frozen, and go on when thawed', async () => {
      const pid = await startWriter(OPEN)
      const frozen = await freeze(await tools(), {name: 'test'})
      expect(frozen.pids).toContain(pid)
      const outcome = await prove()
      await frozen.thaw()
      expect(box.run('cat', `/proc/${pid}/status`)).toMatch(/^State:\s[RS]/m)
      stop(pid)
      receiptOf(outcome)
    })
  })

  whereS3Is('and a bucket', () => {
    test('whose rules cannot be read waits for the operator to look at them once', async () => {
      const server = await startVersitygw()
      const {accessKeyId, bucket, endpoint, region, secretAccessKey} = server
      const credentials = {accessKeyId, secretAccessKey}
      const location = {bucket, credentials, endpoint, kind: 's3', prefix: 'p', region} as const
      const remote = await openStore(location, {clock: systemClock})
      try {
        const where = ['--host', operator.host(box), '--store', `s3://${bucket}/p`]
        const env = {
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_REGION: region,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
        }
        const flags = ['--endpoint', endpoint, '--no-encryption']
        const argv = ['snapshot', 'create', ...where, ...flags, '/workspace']
        const {id} = await answered(argv, {env, home: operator.home})
        const changes = {snapshotId: id, storeNamed: false}
        const s3 = {...service(), store: remote}
        const refused = await proveReceipt(s3, await ask(changes))
        expect(refusalsOf(refused)).toMatchObject([
          {message: expect.stringContaining('cannot be read'), rule: 'endurance'},
        ])
        const asked = await ask({...changes, lifecycleAcknowledged: true})
        const receipt = receiptOf(await proveReceipt(s3, asked))
        expect(receipt.storeUrl).toBe('s3://bucket/p')
        expect(await recheckReceipt(s3, receipt, asked)).toEqual([])
        expect(await recheckReceipt(service(), receipt, asked)).not.toEqual([])
      } finally {
        await remote.close()
        await server.close()
      }
    })
  })

  describe('is void', () => {
    const voided = async (
      receipt: Receipt,
      changes: Partial<ReceiptRequest> = {},
      now = Date.now(),
    ) => {
      const request = await ask(changes)
      const clock = {...systemClock, now: () => now}
      return recheckReceipt({...service(), clock}, receipt, request)
    }
    test('when a file was written after the proof, in the roots or outside, whatever its times say', async () => {
      const writes = [
        [
          'cp -p "$0" "$0.was"; tr a b <"$0.was" >"$0"; touch -r "$0.was" "$0"',
          '/workspace/run/weights',
        ],
        ['mkdir "${0%/*}"; echo late >"$0"', '/late/file'],
      ] as const
      for (const [script, file] of writes) {
        const receipt = receiptOf(await prove())
        expect(await voided(receipt)).toEqual([])
        box.run('sh', '-ec', script, file)
        const [refusal] = await voided(receipt)
        expect(refusal).toMatchObject({
          message: expect.stringContaining(file.replace(/[^/]*$/, '')),
          rule: 'stillness',
        })
        box.run('sh', '-ec', '[ -e "$0.was" ] && mv "$0.was" "$0" || rm -r "${0%/*}"', file)
      }
    })

    test('when somebody has begun to write since', async () => {
      const receipt = receiptOf(await prove())
      const script =
        "import os,time; f = open('/workspace/run/weights', 'r+'); print(os.getpid(), flush=True); time.sleep(600)"
      const pid = await startWriter(script)
      expect(await voided(receipt)).toMatchObject([{rule: 'stillness'}])
      box.run('kill', '-9', String(pid))
    })

    test('after ten minutes, for another instance, and without its snapshot', async () => {
      const receipt = receiptOf(await prove())
      expect(await voided(receipt)).toEqual([])
      expect(await voided(receipt, {}, receipt.expiresAt)).toMatchObject([{rule: 'identity'}])
      expect(await voided({...receipt, proof: {...receipt.proof}})).toMatchObject([
        {rule: 'identity'},
      ])
      expect(await voided(receipt, {provider: vendor({phase: 'stopped'})})).not.toEqual([])
      const restarted = {...receipt, identity: {...receipt.identity, started: 1}}
      expect(await voided(restarted)).toMatchObject([{rule: 'identity'}])
      const manifest = join(folder, `store/snapshots/${snapshotId}.json`)
      const bytes = await readFile(manifest)
      await rm(manifest)
      expect(await voided(receipt)).toMatchObject([{rule: 'packs'}])
      await writeFile(manifest, bytes.toString().replace('"label"', ' "label"'))
      expect(await voided(receipt)).toMatchObject([{rule: 'packs'}])
      await writeFile(manifest, bytes)
    })
  })
})

const INSTANCE = {
  createdAt: 1_790_000_000_000,
  endpoints: [],
  id: '77',
  phase: 'running',
  spec: {envNames: [], image: 'pytorch'},
  state: 'running',
} as unknown as Instance

function vendor(changes: Partial<Instance> = {}): Provider {
  return {
    get: async () => ({...INSTANCE, ...changes}),
    name: 'vast',
    whoami: async () => ({account: 'me'}),
  } as unknown as Provider
}
