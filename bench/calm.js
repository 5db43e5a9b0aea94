import {readFileSync} from 'node:fs'
import {setTimeout as delay} from 'node:timers/promises'

const TICKS_PER_SECOND = 100
const LOOK_MS = 500
const PATIENCE_MS = 10_000
const CALM = 0.2

/** Seconds of CPU that this machine has spent on anything since it started, all cores together. */
export function busySeconds() {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const [user, nice, system, , , irq, softIrq, steal] = first.trim().split(/\s+/).slice(1)
  const ticks = [user, nice, system, irq, softIrq, steal].map(Number)
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND
}

/** Waits, ten seconds at most, until other programs use less than a fifth of a core. */
export async function untilCalm() {
  const end = Date.now() + PATIENCE_MS
  let before = busySeconds()
  while (Date.now() < end) {
    await delay(LOOK_MS)
    const now = busySeconds()
    if (now - before < (CALM * LOOK_MS) / 1000) return
    before = now
  }
}
