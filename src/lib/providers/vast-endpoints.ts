import * as v from 'valibot'
import type {Endpoint} from './provider.js'
import type {VastRecord} from './vast-record.js'

const mapped = v.object({HostPort: v.union([v.string(), v.number()])})
const table = v.looseObject({'22/tcp': v.pipe(v.array(mapped), v.minLength(1))})

/** A name or address and nothing else: no blank, no option, no path. */
const HOST = /^(?!-)[A-Za-z0-9.-]{1,253}$|^[0-9A-Fa-f:]{2,45}$/u

type Ways = Pick<VastRecord, 'image_runtype' | 'ports' | 'public_ipaddr' | 'ssh_host' | 'ssh_port'>

/**
 * Ways in, in the order to probe: the machine itself where it maps port 22, the vendor's proxy, and for Jupyter images
 * the port after the proxy's, of which reports disagree.
 */
export function vastEndpoints(row: Ways): readonly Endpoint[] {
  const direct = endpoint(row.public_ipaddr, directPort(row.ports), 'direct')
  const proxy = endpoint(row.ssh_host, row.ssh_port, 'proxy')
  const isJupyter = row.image_runtype?.includes('jupyter') === true && row.ssh_port != null
  const beside = isJupyter ? endpoint(row.ssh_host, Number(row.ssh_port) + 1, 'proxy') : []
  return [...direct, ...proxy, ...beside]
}

function directPort(ports: unknown): number | undefined {
  const parsed = v.safeParse(table, ports)
  const text = parsed.success ? String(parsed.output['22/tcp'][0]?.HostPort).trim() : ''
  return /^\d{1,5}$/u.test(text) ? Number(text) : undefined
}

function endpoint(
  host: string | null | undefined,
  port: number | null | undefined,
  via: Endpoint['via'],
): readonly Endpoint[] {
  if (!host || !HOST.test(host) || port == null) return []
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return []
  return [{host, port, user: 'root', via}]
}
