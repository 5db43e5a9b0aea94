import {DumontError} from '../errors.js'
import {isAtOrBelow} from './box-places.js'

/** One line of the kernel's mount table. Paths are Latin-1 text, one character a byte. */
export interface BoxMount {
  readonly point: string
  readonly type: string
  readonly source: string
  readonly readOnly: boolean
  /** Whether the file system itself is read-only, not only this view of it. */
  readonly frozen: boolean
}

/**
 * What destroying the instance does to a mount: `kernel` holds no files; `ephemeral` is memory; `survives` is kept by
 * somebody else; `host` is lent read-only; `disk` goes with the instance, so what is on it must be saved.
 */
export type Fate = 'disk' | 'ephemeral' | 'host' | 'kernel' | 'survives'

const KERNEL = new Set(
  (
    'autofs bpf binfmt_misc cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
    'proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs'
  ).split(' '),
)
const MEMORY = new Set(['ramfs', 'tmpfs'])
const NETWORK = new Set(['ceph', 'cifs', 'lustre', 'nfs', 'nfs4', 'smb3'])
const UNCHANGING = new Set(['erofs', 'iso9660', 'squashfs'])

export function parseMounts(table: Buffer): readonly BoxMount[] {
  const mounts = new Map<string, BoxMount>()
  for (const line of table.toString('latin1').split('\n')) {
    if (line === '') continue
    const [before = '', after] = line.split(' - ')
    const fields = before.split(' ')
    const [type = '', source = '', options = ''] = after?.split(' ') ?? []
    const point = unescaped(fields[4] ?? '')
    if (after === undefined || !point.startsWith('/') || type === '')
      throw new DumontError('WORKER', 'the mount table of the box cannot be read')
    const readOnly = (fields[5] ?? '').split(',').includes('ro')
    const frozen = options.split(',').includes('ro')
    // Of several at one point the uppermost, which comes last, is what can be seen.
    mounts.set(point, {frozen, point, readOnly, source, type})
  }
  return [...mounts.values()]
}

/** `contained`: inside a container whatever is mounted read-only is the host's, and was so from the beginning. */
export function fateOf(
  mount: BoxMount,
  {contained, survives}: {readonly contained: boolean; readonly survives: readonly string[]},
): Fate {
  const {point, readOnly, source, type} = mount
  if (survives.some((place) => place !== '/' && isAtOrBelow(point, place))) return 'survives'
  if (KERNEL.has(type)) return 'kernel'
  if (MEMORY.has(type)) return 'ephemeral'
  // What is served by the box to itself ends with it.
  if (NETWORK.has(type) && !/^(?:localhost|127\.|\[?::1|\/\/(?:localhost|127\.))/.test(source))
    return 'survives'
  if (UNCHANGING.has(type)) return 'host'
  if (contained && readOnly) return 'host'
  return 'disk'
}

function unescaped(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8) & 255),
  )
}
