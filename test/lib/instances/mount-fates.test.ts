import {describe, expect, test} from '@jest/globals'
import {fateOf, parseMounts} from '../../../src/lib/instances/mount-fates.js'

const TABLE = `
111 56 0:42 / / rw,relatime - overlay overlay rw,lowerdir=/a
112 111 254:0 /usr /usr ro,relatime - ext4 /dev/vda rw
113 111 0:5 / /proc rw - proc proc rw
114 111 0:6 / /dev/shm rw shared:1 master:2 - tmpfs shm rw
115 111 8:1 /v /workspace rw - ext4 /dev/sdb rw
116 111 0:7 / /data\\040set rw - nfs4 10.0.0.1:/x rw
117 111 0:8 / /own rw - nfs4 127.0.0.1:/x rw
118 111 0:9 / /cloud rw - fuse.rclone remote: rw
119 111 7:0 / /snap ro - squashfs /dev/loop0 ro
`.trimStart()

const fates = (contained: boolean, survives: readonly string[] = []) =>
  Object.fromEntries(
    parseMounts(Buffer.from(TABLE)).map((mount) => [
      mount.point,
      fateOf(mount, {contained, survives}),
    ]),
  )

describe('what becomes of a mount', () => {
  test('is told by type, source, and whether it is lent', () => {
    expect(fates(true)).toEqual({
      '/': 'disk',
      '/cloud': 'disk',
      '/data set': 'survives',
      '/dev/shm': 'ephemeral',
      '/own': 'disk',
      '/proc': 'kernel',
      '/snap': 'host',
      '/usr': 'host',
      '/workspace': 'disk',
    })
  })
  test('on a machine of its own is a disk although it is mounted read-only', () => {
    expect(fates(false)['/usr']).toBe('disk')
  })
  test('is to survive where the vendor says so, but never of the root', () => {
    expect(fates(true, ['/workspace', '/'])).toMatchObject({'/': 'disk', '/workspace': 'survives'})
  })
})

test('the uppermost of two mounts at one point counts', () => {
  const table = '1 0 0:1 / /a rw - ext4 /dev/a rw\n2 1 0:2 / /a rw - tmpfs t rw\n'
  expect(parseMounts(Buffer.from(table))).toMatchObject([{point: '/a', type: 'tmpfs'}])
})

test.each(['nonsense', '1 0 0:1 / a rw - ext4 x rw', '1 0 0:1 / / rw ext4 /dev/a rw'])(
  'a table with the line %j is refused',
  (line) => {
    expect(() => parseMounts(Buffer.from(`${line}\n`))).toThrow(/cannot be read/)
  },
)
