import {afterEach, beforeEach, expect, test} from '@jest/globals'
import {execFile} from 'node:child_process'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {mintDestroyProof} from '../../../src/lib/providers/destroy-proof.js'
import type {Endpoint} from '../../../src/lib/providers/provider.js'
import type {VastProvider} from '../../../src/lib/providers/vast-provider.js'
import {describeWithSshd, makeKey} from '../../support/sshd.js'
import {publicKeyOf, type SshdBoxes, sshdBoxes} from '../../support/vast/box.js'
import {orderOf, spec4090, vastClient} from '../../support/vast/client.js'
import {type FakeVast, startFakeVast} from '../../support/vast/fake-vast.js'
import type {Life} from '../../support/vast/instance.js'

describeWithSshd('a real sshd behind an instance', () => {
  let fake: FakeVast
  let client: VastProvider
  let boxes: SshdBoxes
  let folder: string
  let identityFile: string
  let publicKey: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dumont-box-'))
    identityFile = makeKey(join(folder, 'key'))
    publicKey = await publicKeyOf({identityFile})
    boxes = sshdBoxes({home: () => join(folder, 'home')})
    fake = await startFakeVast({box: boxes.make})
    client = vastClient(fake)
  })

  afterEach(async () => {
    await fake.close()
    await rm(folder, {recursive: true})
  })

  /** Rents, attaches the key, and waits until it runs. */
  async function running(life: Life = {}): Promise<string> {
    fake.lives.push(life)
    const [offer] = await client.search(spec4090())
    if (!offer) throw new Error('no offer')
    const {id} = await client.create(offer, orderOf())
    await client.attachKey(id, publicKey)
    fake.clock.advance(60_000)
    return id
  }

  async function way(id: string, via: Endpoint['via']): Promise<Endpoint> {
    const {endpoints} = await client.get(id)
    const found = endpoints.findLast((one) => one.via === via)
    if (!found) throw new Error(`no ${via} way`)
    return found
  }

  const ssh = ({host, port, user}: Endpoint, command: string) => {
    const options = [
      'BatchMode=yes',
      'ConnectTimeout=2',
      'IdentitiesOnly=yes',
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'LogLevel=INFO',
    ].flatMap((option) => ['-o', option])
    const words = ['-F', 'none', '-T', '-i', identityFile, '-p', String(port), ...options]
    return promisify(execFile)('ssh', [...words, `${user}@${host}`, command])
  }

  test('is reached both ways, knows its id, and says its banner on stderr alone', async () => {
    const id = await running()
    for (const via of ['direct', 'proxy'] as const) {
      const {stderr, stdout} = await ssh(await way(id, via), 'echo "$CONTAINER_ID"')
      expect(stdout).toBe(`${id}\n`)
      expect(stderr).toContain('Welcome to vast.ai')
    }
  })

  test('shows the vendor’s channels what lies on it', async () => {
    const id = await running()
    await ssh(await way(id, 'direct'), 'touch "$HOME/nonce-42"')
    await expect(client.execute(id, `ls ${join(folder, 'home')}`)).resolves.toContain('nonce-42')
    const {hostKeyLine} = boxes.boxes.get(Number(id))?.sshd ?? {}
    await expect(client.logs(id, 5)).resolves.toContain(hostKeyLine)
  })

  test('does not answer in its first seconds of running', async () => {
    const id = await running({sshAfterMs: 90_000})
    const direct = await way(id, 'direct')
    await expect(ssh(direct, 'true')).rejects.toThrow(/reset|closed/iu)
    fake.clock.advance(90_000)
    await ssh(direct, 'true')
  })

  test('lets nobody in until the key has arrived (28)', async () => {
    const id = await running({keyAfterMs: 90_000})
    const direct = await way(id, 'direct')
    await expect(ssh(direct, 'true')).rejects.toThrow('Permission denied')
    fake.clock.advance(60_000)
    await ssh(direct, 'true')
  })

  test('may be silent at its own port while the proxy works (27)', async () => {
    const id = await running({direct: 'filtered'})
    await expect(ssh(await way(id, 'direct'), 'true')).rejects.toThrow(/timed out/iu)
    await ssh(await way(id, 'proxy'), 'true')
  })

  test('may answer beside the port that is told (27)', async () => {
    const record = {image_runtype: 'jupyter ssh_proxy'}
    const id = await running({direct: 'absent', proxy: 'beside', record})
    const {endpoints} = await client.get(id)
    expect(endpoints).toHaveLength(2)
    await ssh(endpoints[1] as Endpoint, 'true')
  })

  test('moves when it is started again (33)', async () => {
    const id = await running({moves: true})
    const before = await way(id, 'direct')
    await client.stop(id, undefined)
    await expect(ssh(before, 'true')).rejects.toThrow()
    await client.start(id)
    fake.clock.advance(60_000)
    const after = await way(id, 'direct')
    expect(after.port).not.toBe(before.port)
    await ssh(after, 'true')
  })

  test('is cut off in the middle when it is stopped (32)', async () => {
    const id = await running()
    const session = ssh(await way(id, 'direct'), 'echo; sleep 60')
    const ended = expect(session).rejects.toThrow()
    session.child.stdout?.once('data', () => fake.only().stop())
    await ended
  })

  test('goes with all it held when its instance is destroyed', async () => {
    const id = await running()
    const direct = await way(id, 'direct')
    await ssh(direct, 'touch "$HOME/here"')
    const proof = mintDestroyProof({
      kind: 'stillborn',
      instance: {provider: 'vast', account: '4711', id, createdAt: undefined},
      expiresAt: fake.clock.now() + 600_000,
    })
    await client.destroy(id, proof)
    await expect(ssh(direct, 'true')).rejects.toThrow()
    await expect(client.execute(id, `ls ${join(folder, 'home')}`)).rejects.toMatchObject({
      failure: 'NOT_FOUND',
    })
  })
})
