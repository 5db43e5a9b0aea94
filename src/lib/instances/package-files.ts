import {placeOf} from './box-places.js'
import {textOf, type BoxTools} from './box-tools.js'
import {toolRecords} from './tool-records.js'

/** What a package manager put on the box and can put there again. */
export interface PackageFiles {
  /** Latin-1 paths whose contents are those of their package, or that are its links. */
  readonly intact: ReadonlySet<string>
}

/** Every sum that dpkg knows, of files and of configuration, as `<md5>  <path>`; then every path of a package, after `list`. */
const KNOWN = `cd /var/lib/dpkg/info 2>/dev/null || exit 0
{
  cat ./*.md5sums
  sed -n 's/^ \\(\\/[^ ]*\\) \\([0-9a-f]\\{32\\}\\).*$/\\2  \\1/p' ../status
  sed 's/^/list  /' ./*.list
} 2>/dev/null | tr '\\n' '\\0'
exit 0`
const LINKS =
  'for place; do [ -h "$place" ] && printf "%s\\0%s\\0" "$place" "$(readlink "$place")"; done; exit 0'
const BATCH = 2000
const LIMIT_MS = 30 * 60_000

/**
 * Which of these files are as their packages have them, by the box's own word: contents by dpkg's checksums, links by dpkg's
 * lists where they lead to a neighbour. What dpkg does not know, or what differs, is not among them.
 */
export async function packageFiles(
  tools: BoxTools,
  places: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<PackageFiles> {
  const [sums, listed] = [new Map<string, string>(), new Set<string>()]
  const options = {allowed: [0], width: 1}
  for await (const [field] of toolRecords(tools, ['sh', '-c', KNOWN], options, signal)) {
    const [, sum = '', path = ''] =
      /^(list|[0-9a-f]{32}) [ *](.+)$/s.exec(placeOf(field as Buffer)) ?? []
    for (const place of spellings(path)) {
      if (!places.has(place) || /[\\\n]/.test(place)) continue
      if (sum === 'list') listed.add(place)
      else sums.set(place, sum)
    }
  }
  const intact = new Set<string>()
  for (const batch of batches([...sums]))
    for (const place of await equalSums(tools, batch, signal)) intact.add(place)
  const rest = [...listed].filter((place) => !sums.has(place))
  for (const batch of batches(rest))
    for (const place of await neighbourLinks(tools, batch, signal)) intact.add(place)
  return {intact}
}

/** dpkg still says `/lib` where the disk has `/usr/lib`. */
function spellings(path: string): readonly string[] {
  const absolute = path.startsWith('/') ? path : `/${path}`
  return /^\/(?:bin|lib\w*|sbin)\//.test(absolute) ? [absolute, `/usr${absolute}`] : [absolute]
}

/** Only what md5sum calls OK counts. */
async function equalSums(
  tools: BoxTools,
  batch: readonly (readonly [place: string, sum: string])[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const stdin = Buffer.from(batch.map(([place, sum]) => `${sum}  ${place}\n`).join(''), 'latin1')
  const limits = {stdin, timeoutMs: LIMIT_MS, ...(signal && {signal})}
  const {stdout} = await tools.exec(['md5sum', '-c'], limits)
  const asked = new Set(batch.map(([place]) => place))
  return placeOf(stdout)
    .split('\n')
    .flatMap((line) => (line.endsWith(': OK') ? [line.slice(0, -4)] : []))
    .filter((place) => asked.has(place))
}

async function neighbourLinks(
  tools: BoxTools,
  batch: readonly string[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const stdin = Buffer.from(batch.join('\0'), 'latin1')
  const argv = ['xargs', '-0', '-r', 'sh', '-c', LINKS, 'sh']
  const fields = placeOf(
    Buffer.from(await textOf(tools, argv, {stdin, ...(signal && {signal})})),
  ).split('\0')
  const asked = new Set(batch)
  return fields.filter(
    (place, at) => at % 2 === 0 && asked.has(place) && !(fields[at + 1] ?? '/').includes('/'),
  )
}

function* batches<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += BATCH) yield all.slice(at, at + BATCH)
}
