import {afterEach, beforeEach, describe, expect, test} from '@jest/globals'
import {DumontError} from '../../../src/lib/errors.js'
import type {InstanceService} from '../../../src/lib/instances/instance-service.js'
import {openWakeParts} from '../../../src/lib/instances/wake-parts.js'
import {goneInstance} from '../../../src/lib/providers/gone-instance.js'
import type {ExecResult, Session} from '../../../src/lib/remote/session.js'
import {SPEC} from './fake-vendor.js'
import {InstanceWorld} from './instance-world.js'

let world: InstanceWorld

beforeEach(async () => {
  world = await new InstanceWorld().open()
})
afterEach(() => world.close())

const INSTANCE = {...goneInstance('7'), spec: {...SPEC, gpuCount: 2}}
const direct = (host: string) => ({host, port: 40_713, user: 'root', via: 'direct' as const})

/** A box that answers each program in its own way. */
function service(
  answers: Readonly<Record<string, (time: number) => Partial<ExecResult>>>,
): InstanceService {
  const times: Record<string, number> = {}
  const plain = world.service()
  return {
    ...plain,
    openSession: async (host, signal): Promise<Session> => ({
      ...(await plain.openSession(host, signal)),
      exec: async ([program = '']) => {
        times[program] = (times[program] ?? 0) + 1
        const answer = answers[program]?.(times[program]) ?? {}
        return {code: 0, stdout: Buffer.from(''), stderr: '', ...answer}
      },
    }),
  }
}

const smi = (count: number) => ({stdout: Buffer.from('GPU 0: RTX 4090 (UUID: x)\n'.repeat(count))})

describe('a way into a machine', () => {
  test('keeps host and port together', async () => {
    const answer = await openWakeParts(service({})).probe({
      instance: INSTANCE,
      endpoint: direct('1.2.3.4'),
    })
    expect(answer).toEqual({kind: 'open', host: 'root@1.2.3.4:40713'})
  })

  test('puts an IPv6 address into brackets', async () => {
    const answer = await openWakeParts(service({})).probe({
      instance: INSTANCE,
      endpoint: direct('2001:db8::1'),
    })
    expect(answer).toMatchObject({host: 'root@[2001:db8::1]:40713'})
  })

  test.each(['AUTHENTICATION', 'UNREACHABLE', 'HOST_KEY_CHANGED'] as const)(
    'is closed after %s, with the reason',
    async (code) => {
      const refusing = {
        ...service({}),
        openSession: () => Promise.reject(new DumontError(code, 'no way in')),
      }
      const answer = await openWakeParts(refusing).probe({
        instance: INSTANCE,
        endpoint: direct('a'),
      })
      expect(answer).toEqual({kind: 'closed', why: 'no way in'})
    },
  )

  test('is closed when commands do not end well', async () => {
    const answer = await openWakeParts(service({true: () => ({code: 1})})).probe({
      instance: INSTANCE,
      endpoint: direct('a'),
    })
    expect(answer.kind).toBe('closed')
  })
})

describe('a machine that runs', () => {
  const inspect = (answers: Parameters<typeof service>[0]) =>
    openWakeParts(service(answers)).inspect({host: 'box-7', instance: INSTANCE})

  test('is of use with all its GPUs', async () => {
    expect(await inspect({'nvidia-smi': () => smi(2)})).toBeUndefined()
  })

  test('is of no use with fewer GPUs than were rented', async () => {
    expect(await inspect({'nvidia-smi': () => smi(1)})).toBe('it shows 1 of 2 GPUs')
  })

  test('is of no use when its driver refuses for good', async () => {
    const python3 = () => ({code: 9, stdout: Buffer.from('802\n')})
    expect(await inspect({'nvidia-smi': () => smi(2), python3})).toContain('802')
  })

  test('may take a while until its driver is ready', async () => {
    const python3 = (time: number) => (time < 4 ? {code: 9, stdout: Buffer.from('802')} : {})
    const begun = world.clock.now()
    expect(await inspect({'nvidia-smi': () => smi(2), python3})).toBeUndefined()
    expect(world.clock.now() - begun).toBe(60_000)
  })

  test('needs no Python to be of use', async () => {
    expect(
      await inspect({'nvidia-smi': () => smi(2), python3: () => ({code: 127})}),
    ).toBeUndefined()
  })
})
