import {DumontError} from '../errors.js'
import {textOf, type BoxTools} from './box-tools.js'

/** Memory of the box that no other login reads; goes with the boot, as stopped processes do. */
const PLACE = '/run/dumont-frozen'
/** A guard looks every five seconds; after two minutes without a sign it lets everything go on. */
const LOOK_S = 5
const MISSES = 24

/** Continues those of a list that are still the ones that were stopped: numbers are given out again. */
const THAW = `thaw() {
  mv "$1/pids" "$1/thawing" 2>/dev/null || return 0
  while read -r pid start; do
    now=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 20)
    [ "$now" = "$start" ] && kill -s CONT "$pid" 2>/dev/null
  done <"$1/thawing"
  rm -rf "$1"
}
`
const WATCH = `${THAW}misses=0
while [ -e "$1/pids" ]; do
  sleep ${LOOK_S}
  if rm "$1/lease" 2>/dev/null; then misses=0; else misses=$((misses + 1)); fi
  [ "$misses" -lt "$2" ] || thaw "$1"
done`
const ADOPT = `${THAW}for left in "$1"/*; do [ -d "$left" ] && echo "$left" && thaw "$left"; done; exit 0`
const ARM = `set -e
umask 077
mkdir -p "$1"
mkdir "$1/$2"
: >"$1/$2/pids"
(trap '' HUP; exec sh -c "$3" sh "$1/$2" "$4") </dev/null >/dev/null 2>&1 &
echo "$!"`
const STOP = `list=$1; shift
for pid; do
  start=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 20)
  [ -n "$start" ] && echo "$pid $start" >>"$list" && kill -s STOP "$pid" 2>/dev/null
done
exit 0`
const RENEW = '[ -e "$1/pids" ] && : >"$1/lease" && [ -e "$1/pids" ]'

/** A process on the box that ends a freeze when nobody asks for it any more, whatever became of who froze. */
export interface FreezeGuard {
  readonly pid: number
  /** Stops these, written down first. */
  stop(pids: readonly number[], signal?: AbortSignal): Promise<void>
}

/** Where a freeze is written down, for whoever renews or ends it over another connection. */
export interface FreezeMark {
  readonly place: string
}

/** Begins a freeze that lasts two minutes from each renewal. */
export async function guardFreeze(
  tools: BoxTools,
  name: string,
  {misses = MISSES}: {readonly misses?: number} = {},
  signal?: AbortSignal,
): Promise<FreezeGuard & FreezeMark> {
  const argv = ['sh', '-c', ARM, 'sh', PLACE, name, WATCH, String(misses)]
  const pid = Number((await textOf(tools, argv, signal ? {signal} : {})).trim())
  if (!Number.isSafeInteger(pid) || pid <= 1)
    throw new DumontError('WORKER', 'nothing on the box could be started to end the freeze')
  const place = `${PLACE}/${name}`
  return {
    pid,
    place,
    stop: async (pids, stop) => {
      const stopping = ['sh', '-c', STOP, 'sh', `${place}/pids`, ...pids.map(String)]
      await textOf(tools, stopping, stop ? {signal: stop} : {})
    },
  }
}

/** Whether the freeze still holds; it then does for two minutes more. */
export async function renewFreeze(
  tools: BoxTools,
  {place}: FreezeMark,
  signal?: AbortSignal,
): Promise<boolean> {
  const {code} = await tools.exec(['sh', '-c', RENEW, 'sh', place], signal ? {signal} : {})
  return code === 0
}

/** Ends a freeze. One that is over is no error. */
export async function endFreeze(
  tools: BoxTools,
  {place}: FreezeMark,
  signal?: AbortSignal,
): Promise<void> {
  await textOf(tools, ['sh', '-c', `${THAW}thaw "$1"`, 'sh', place], signal ? {signal} : {})
}

/** Ends whatever freezes were left on the box; how many there were. Whoever still counted on one is told so by `renewFreeze`. */
export async function endLeftFreezes(tools: BoxTools, signal?: AbortSignal): Promise<number> {
  const text = await textOf(tools, ['sh', '-c', ADOPT, 'sh', PLACE], signal ? {signal} : {})
  return text.split('\n').filter((line) => line !== '').length
}
