import {randomBytes} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdir, readdir, rm, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from '@jest/globals'
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
import {sshdAvailable} from '../support/sshd.js'
import {answered, sharedHome} from './dumont.js'
import {startOperator, type Operator} from './operator.js'
import {scratch} from './trees.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: tests of receipts need sshd and the right to make containers')

whereContainersAre('a receipt for a container', () => {
  let box: Container
  let operator: Operator
  let session: Session
  let store: Store
  let folder: string
  let remove: () => Promise<void>
  let url: string

  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
  })
  afterAll(() => remove?.())
  beforeEach(async () => {
    const path = join(folder, randomBytes(4).toString('hex'))
    url = pathToFileURL(path).href
    box = await startContainer({env: {CONTAINER_ID: '77', SECRET: 'never'}, lent: await natives()})
    operator = await startOperator(box as never)
    session = await openSshSession(loopbackTarget(box), quietDependencies())
    store = await openStore({kind: 'directory', path}, {clock: systemClock})
    await mkdir(box.at('/workspace/run'), {recursive: true})
    await writeFile(box.at('/workspace/run/weights'), randomBytes(300_000))
    await writeFile(box.at('/workspace/run/\u00FCnicode name'), 'a')
    await writeFile(box.at('/workspace/empty'), '')
    await symlink('run/weights', box.at('/workspace/latest'))
  })
  afterEach(async () => {
    await session?.close()
    await store?.close()
    await box?.close()
    await operator?.remove()
  })

  const service = (): ReceiptService => ({
    clock: systemClock,
    random: randomBytes,
    report: () => {},
    store,
  })
  const tools = () => openBoxTools(session)
  const create = async (...argv: string[]): Promise<string> => {
    const where = ['--host', operator.host(box as never), '--store', url]
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
      snapshotId: '',
      storeNamed: true,
      survives: [],
      ...changes,
    }
  }
  const prove = async (changes: Partial<ReceiptRequest> = {}): Promise<ReceiptOutcome> =>
    proveReceipt(service(), await ask({...changes}))
  const receiptOf = (outcome: ReceiptOutcome): Receipt => {
    if (outcome.kind === 'proven') return outcome.receipt
    throw new Error(JSON.stringify(outcome.refusals))
  }
  const rulesOf = (outcome: ReceiptOutcome) =>
    outcome.kind === 'proven' ? [] : outcome.refusals.map(({rule}) => rule)

  test('is given when everything is in the store, and says who saw what', async () => {
    const snapshotId = await create()
    const receipt = receiptOf(await prove({snapshotId}))
    expect(proves(receipt.proof, {id: '77', provider: 'vast'}, Date.now())).toBe(true)
    expect(receipt).toMatchObject({discarded: [], roots: ['/workspace'], snapshotId, storeUrl: url})
    const listing = receipt.checks.find(({rule, by}) => rule === 'disk' && by === 'box')
    expect(listing?.figures).toEqual({bytes: 300_001, dirs: 2, files: 3, others: 0, symlinks: 1})
    const sample = receipt.checks.find(({rule, by}) => rule === 'disk' && by === 'operator')
    expect(sample?.figures).toMatchObject({bytes: 300_001, files: 2})
    expect(JSON.stringify(receipt)).not.toContain('never')
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

/** The native helpers that earlier tests installed, so that they need not be sent into every container. */
async function natives(): Promise<Record<string, string>> {
  const own = join(sharedHome(), '.cache/dumont')
  if (!existsSync(own)) return {}
  const names = (await readdir(own)).filter((name) => name.startsWith('native-'))
  return Object.fromEntries(names.map((name) => [`/root/.cache/dumont/${name}`, join(own, name)]))
}
