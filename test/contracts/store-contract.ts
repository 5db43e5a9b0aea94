import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {request as httpRequest} from 'node:http'
import {pinOf, isExactly} from '../../src/lib/store/pin.js'
import {openRepository} from '../../src/lib/store/repository.js'
import {createSettled} from '../../src/lib/store/settle.js'
import {sendSigned} from '../../src/lib/store/signed-http.js'
import type {ObjectInfo, PinKind, SignedRequest, Store} from '../../src/lib/store/store.js'
import type {ShiftedClock} from '../support/shifted-clock.js'

export interface Subject {
  readonly store: Store
  readonly clock: ShiftedClock
  /** A quicker way than `put` to have many objects. */
  readonly plant?: (key: string) => Promise<unknown>
  close(): Promise<void>
}

const text = (value: string) => Buffer.from(value)

/** What every store promises, whatever it is made of. */
export function describeStore(name: string, open: () => Promise<Subject>): void {
  describe(`${name} store`, () => {
    let subject: Subject
    let store: Store
    let count = 0
    const fresh = () => `packs/contract/${++count}`

    const signedPut = (key: string, bytes: Uint8Array, kind: PinKind = 'crc32', seconds = 900) =>
      store.sign({method: 'PUT', key, length: bytes.length, pin: pinOf(kind, bytes), seconds})
    const listed = async (prefix: string) => {
      const found: ObjectInfo[] = []
      for await (const info of store.list(prefix)) found.push(info)
      return found
    }

    beforeAll(async () => {
      subject = await open()
      store = subject.store
    })
    afterAll(async () => subject?.close())

    describe('objects', () => {
      test('come back as they were put', async () => {
        const [key, bytes] = [fresh(), Buffer.from([0, 255, 10, 13, 0])]
        expect(await store.put(key, bytes)).toBe('created')
        expect(Buffer.from(await store.get(key))).toEqual(bytes)
      })

      test('may be empty', async () => {
        const key = fresh()
        await store.put(key, text(''))
        expect(await store.get(key)).toHaveLength(0)
        expect(await store.head(key)).toMatchObject({key, length: 0})
      })

      test('are created once', async () => {
        const key = fresh()
        await store.put(key, text('first'))
        expect(await store.put(key, text('second'))).toBe('exists')
        expect(Buffer.from(await store.get(key)).toString()).toBe('first')
      })

      test('are replaced only when that is asked for', async () => {
        const key = fresh()
        await store.put(key, text('first'))
        expect(await store.put(key, text('second'), {onlyIfAbsent: false})).toBe('created')
        expect(Buffer.from(await store.get(key)).toString()).toBe('second')
      })

      test('are created by exactly one of many at once', async () => {
        const key = fresh()
        const outcomes = await Promise.all(
          Array.from({length: 8}, async (_, index) => ({
            index,
            outcome: await store.put(key, text(`by ${index}`)),
          })),
        )
        const winners = outcomes.filter(({outcome}) => outcome === 'created')
        expect(winners).toHaveLength(1)
        expect(Buffer.from(await store.get(key)).toString()).toBe(`by ${winners[0]?.index}`)
      })

      test('are described with length, time and a checksum the store vouches for', async () => {
        const [key, bytes] = [fresh(), text('described')]
        await store.put(key, bytes)
        const info = await store.head(key)
        expect(info).toMatchObject({key, length: 9})
        expect(Math.abs((info?.modified ?? 0) - Date.now())).toBeLessThan(60_000)
        expect(
          isExactly(info, 9, pinOf('md5', bytes)) || isExactly(info, 9, pinOf('crc32', bytes)),
        ).toBe(true)
        expect(isExactly(info, 9, pinOf('md5', text('other')))).toBe(false)
      })

      test('that are absent are an integrity error to get and undefined to head', async () => {
        await expect(store.get('packs/none')).rejects.toMatchObject({code: 'INTEGRITY'})
        expect(await store.head('packs/none')).toBeUndefined()
      })

      test('are read in ranges', async () => {
        const key = fresh()
        await store.put(key, text('0123456789'))
        expect(Buffer.from(await store.get(key, {range: [3, 5]})).toString()).toBe('345')
        expect(Buffer.from(await store.get(key, {range: [8, 100]})).toString()).toBe('89')
      })

      test('have no bytes behind their end', async () => {
        const key = fresh()
        await store.put(key, text('0123456789'))
        await expect(store.get(key, {range: [10, 12]})).rejects.toMatchObject({code: 'INTEGRITY'})
      })

      test('longer than the reader bears are refused', async () => {
        const key = fresh()
        await store.put(key, text('0123456789'))
        await expect(store.get(key, {limit: 9})).rejects.toMatchObject({code: 'INTEGRITY'})
        expect(await store.get(key, {limit: 10})).toHaveLength(10)
      })

      test('may be removed twice', async () => {
        const [one, other] = [fresh(), fresh()]
        await store.put(one, text('1'))
        await store.remove([one, other])
        await store.remove([one])
        expect(await store.head(one)).toBeUndefined()
      })

      test('can be created again after they were removed', async () => {
        const key = fresh()
        await store.put(key, text('1'))
        await store.remove([key])
        expect(await store.put(key, text('2'))).toBe('created')
      })

      test.each(['../up', 'a/../b', '/abs', 'a//b', '', '.', 'a/.', 'tmp/x', 'ä', 'a b', 'a\0b'])(
        'are never called %j',
        async (key) => {
          await expect(store.put(key, text('x'))).rejects.toMatchObject({code: 'INTEGRITY'})
          await expect(store.get(key)).rejects.toMatchObject({code: 'INTEGRITY'})
          await expect(store.head(key)).rejects.toMatchObject({code: 'INTEGRITY'})
          await expect(store.remove([key])).rejects.toMatchObject({code: 'INTEGRITY'})
          await expect(store.sign({method: 'GET', key})).rejects.toMatchObject({code: 'INTEGRITY'})
        },
      )

      test('have names of bounded length', async () => {
        await expect(store.put('x'.repeat(600), text('x'))).rejects.toMatchObject({
          code: 'INTEGRITY',
        })
      })

      test('are not touched once the caller has stopped waiting', async () => {
        const key = fresh()
        await expect(store.put(key, text('x'), {}, AbortSignal.abort())).rejects.toMatchObject({
          code: 'INTERRUPTED',
        })
        expect(await store.head(key)).toBeUndefined()
      })
    })

    describe('settling', () => {
      test('finds the same bytes under a key that exists', async () => {
        const key = fresh()
        await store.put(key, text('mine'))
        expect(await createSettled(store, key, text('mine'))).toBe('same')
      })

      test.each(['your', 'longer than mine'])('tells %j from one’s own', async (other) => {
        const key = fresh()
        await store.put(key, text(other))
        expect(await createSettled(store, key, text('mine'))).toBe('different')
      })
    })

    describe('listing', () => {
      test('is in key order, by prefix, and complete', async () => {
        const keys = [
          'l/a',
          'l/a-b',
          'l/a.b',
          'l/a/b',
          'l/a/b/c',
          'l/a0',
          'l/aa',
          'lz',
          'l/B',
          'l/_',
        ]
        // An object below another one's name is more than a directory can hold.
        const possible = keys.filter((key) => key !== 'l/a' && key !== 'l/a/b')
        for (const key of possible) await store.put(key, text(key))
        const below = possible
          .filter((key) => key.startsWith('l/'))
          .toSorted((a, b) => (a < b ? -1 : 1))
        expect((await listed('l/')).map(({key}) => key)).toEqual(below)
        expect((await listed('l/a')).map(({key}) => key)).toEqual(
          below.filter((key) => key.startsWith('l/a')),
        )
        expect((await listed('l/a/')).map(({key}) => key)).toEqual(['l/a/b/c'])
      })

      test('tells lengths and times', async () => {
        await store.put('listed/one', text('12345'))
        const [info] = await listed('listed/')
        expect(info).toMatchObject({key: 'listed/one', length: 5})
        expect(Math.abs((info?.modified ?? 0) - Date.now())).toBeLessThan(60_000)
      })

      test('of nothing is empty', async () => {
        expect(await listed('nothing/')).toEqual([])
      })

      test('goes on over many pages', async () => {
        const keys = Array.from(
          {length: 1003},
          (_, index) => `many/${String(index).padStart(4, '0')}`,
        )
        const plant = subject.plant ?? ((key: string) => store.put(key, text('.')))
        for (const key of keys) await plant(key)
        expect((await listed('many/')).map(({key}) => key)).toEqual(keys)
      }, 60_000)
    })

    describe('signed uploads', () => {
      test.each(['crc32', 'md5'] as const)(
        'take exactly the bytes a %s was signed for',
        async (kind) => {
          const [key, bytes] = [fresh(), text('the right bytes')]
          expect(await sendSigned(await signedPut(key, bytes, kind), bytes)).toMatchObject({
            status: 200,
          })
          expect(Buffer.from(await store.get(key))).toEqual(bytes)
          expect(isExactly(await store.head(key), bytes.length, pinOf(kind, bytes))).toBe(true)
        },
      )

      test.each(['crc32', 'md5'] as const)(
        'refuse other bytes of the same length (%s)',
        async (kind) => {
          const [key, bytes] = [fresh(), text('the right bytes')]
          const {status, body} = await sendSigned(
            await signedPut(key, bytes, kind),
            text('the wrong bytes'),
          )
          expect(status).toBe(400)
          expect(Buffer.from(body).toString()).toContain('BadDigest')
          expect(await store.head(key)).toBeUndefined()
        },
      )

      test('refuse another length', async () => {
        const [key, bytes] = [fresh(), text('the right bytes')]
        const signed = withHeader(await signedPut(key, bytes), 'content-length', '16')
        expect((await sendSigned(signed, text('the right bytes!'))).status).toBe(403)
        expect(await store.head(key)).toBeUndefined()
      })

      test.each(['x-amz-checksum-crc32', 'if-none-match'])(
        'refuse to go without %s',
        async (header) => {
          const [key, bytes] = [fresh(), text('bytes')]
          const signed = withHeader(await signedPut(key, bytes), header, undefined)
          expect((await sendSigned(signed, bytes)).status).toBe(403)
          expect(await store.head(key)).toBeUndefined()
        },
      )

      test('refuse another checksum than the signed one, even if it fits the bytes', async () => {
        const [key, bytes] = [fresh(), text('other')]
        const signed = withHeader(
          await signedPut(key, text('bytes')),
          'x-amz-checksum-crc32',
          pinOf('crc32', bytes).value,
        )
        expect((await sendSigned(signed, bytes)).status).toBe(403)
        expect(await store.head(key)).toBeUndefined()
      })

      test('refuse another key', async () => {
        const [key, other, bytes] = [fresh(), fresh(), text('bytes')]
        const signed = await signedPut(key, bytes)
        const moved = {...signed, url: signed.url.replace(key, other)}
        expect((await sendSigned(moved, bytes)).status).toBe(403)
        expect(await store.head(other)).toBeUndefined()
      })

      test('are no downloads, and downloads are no uploads', async () => {
        const [key, bytes] = [fresh(), text('bytes')]
        const put = await signedPut(key, bytes)
        const get = await store.sign({method: 'GET', key})
        expect(
          (await sendSigned({...get, method: 'PUT', headers: put.headers}, bytes)).status,
        ).toBe(403)
        await store.put(key, bytes)
        expect((await sendSigned({...put, method: 'GET', headers: {}})).status).toBe(403)
      })

      test('are no deletions', async () => {
        const key = fresh()
        await store.put(key, text('stays'))
        const signed = await store.sign({method: 'GET', key})
        const deleting = {...signed, method: 'DELETE'} as unknown as SignedRequest
        expect((await sendSigned(deleting)).status).toBe(403)
        expect(await store.head(key)).toBeDefined()
      })

      test('happen once', async () => {
        const [key, bytes] = [fresh(), text('bytes')]
        const signed = await signedPut(key, bytes)
        expect((await sendSigned(signed, bytes)).status).toBe(200)
        expect([409, 412]).toContain((await sendSigned(signed, bytes)).status)
      })

      test('are refused when their time is over', async () => {
        const [key, bytes] = [fresh(), text('bytes')]
        await store.now()
        subject.clock.shift = -3_600_000
        const signed = await signedPut(key, bytes)
        subject.clock.shift = 0
        expect([400, 403]).toContain((await sendSigned(signed, bytes)).status)
        expect(await store.head(key)).toBeUndefined()
      })

      test('cut in the middle leave nothing behind, and can be made again', async () => {
        const [key, bytes] = [fresh(), Buffer.alloc(300_000, 'x')]
        const signed = await signedPut(key, bytes)
        await sendHalf(signed, bytes)
        expect(await store.head(key)).toBeUndefined()
        expect(await listed(key)).toEqual([])
        expect((await sendSigned(signed, bytes)).status).toBe(200)
      })

      test('are won by exactly one of many at once', async () => {
        const key = fresh()
        const statuses = await Promise.all(
          Array.from({length: 6}, async (_, index) => {
            const bytes = text(`by number ${index}`)
            return (await sendSigned(await signedPut(key, bytes), bytes)).status
          }),
        )
        expect(statuses.filter((status) => status === 200)).toHaveLength(1)
        expect(statuses.every((status) => status === 200 || status === 409 || status === 412)).toBe(
          true,
        )
        const stored = Buffer.from(await store.get(key)).toString()
        expect(stored).toBe(`by number ${statuses.indexOf(200)}`)
      })
    })

    describe('signed downloads', () => {
      test('give the object', async () => {
        const key = fresh()
        await store.put(key, text('content'))
        const {status, body} = await sendSigned(await store.sign({method: 'GET', key}))
        expect([status, Buffer.from(body).toString()]).toEqual([200, 'content'])
      })

      test('give ranges', async () => {
        const key = fresh()
        await store.put(key, text('0123456789'))
        const signed = withHeader(await store.sign({method: 'GET', key}), 'range', 'bytes=2-4')
        const {status, body} = await sendSigned(signed)
        expect([status, Buffer.from(body).toString()]).toEqual([206, '234'])
      })

      test('refuse ranges behind the end', async () => {
        const key = fresh()
        await store.put(key, text('0123456789'))
        const signed = withHeader(await store.sign({method: 'GET', key}), 'range', 'bytes=10-')
        expect((await sendSigned(signed)).status).toBe(416)
      })

      test('of what is absent say so', async () => {
        expect(
          (await sendSigned(await store.sign({method: 'GET', key: 'packs/none'}))).status,
        ).toBe(404)
      })

      test('refuse another key', async () => {
        const [key, other] = [fresh(), fresh()]
        await store.put(other, text('secret'))
        const signed = await store.sign({method: 'GET', key})
        expect((await sendSigned({...signed, url: signed.url.replace(key, other)})).status).toBe(
          403,
        )
      })
    })

    describe('repository', () => {
      test('is not made by looking', async () => {
        expect(await openRepository(store, {create: false})).toBeUndefined()
        expect(await listed('dumont.json')).toEqual([])
      })

      test('is made once, after a test that leaves nothing behind, and is the same for all', async () => {
        const [one, other] = await Promise.all([
          openRepository(store, {create: true}),
          openRepository(store, {create: true}),
        ])
        expect(one.id).toMatch(/^[0-9a-f]{32}$/)
        expect(one.pin).toBe('crc32')
        expect(other.id).toBe(one.id)
        expect([one, other].filter(({isNew}) => isNew)).toHaveLength(1)
        expect(await openRepository(store, {create: false})).toMatchObject({
          id: one.id,
          isNew: false,
        })
        expect(await listed('probe/')).toEqual([])
      })
    })

    test('tells its time', async () => {
      expect(Math.abs((await store.now()) - Date.now())).toBeLessThan(5000)
    })
  })
}

/** Sends the head and half of the body, then kills the connection. */
async function sendHalf({url, headers, method}: SignedRequest, bytes: Uint8Array): Promise<void> {
  const request = httpRequest(url, {method, headers: {...headers}, agent: false})
  request.on('error', () => {})
  await new Promise((resolve) => request.write(bytes.subarray(0, bytes.length / 2), resolve))
  const closed = new Promise((resolve) => request.once('close', resolve))
  request.destroy()
  await closed
}

function withHeader(
  signed: SignedRequest,
  header: string,
  value: string | undefined,
): SignedRequest {
  const {[header]: _, ...others} = signed.headers
  return {...signed, headers: value === undefined ? others : {...others, [header]: value}}
}
