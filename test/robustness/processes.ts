import {readFileSync} from 'node:fs'

/** A process and all it has started, as far as they are still its descendants. */
export function familyOf(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`)
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
  return [pid, ...children.flatMap(familyOf)]
}

/** Waits until none of them is left; names those that stay longer than ten seconds. */
export async function whoStays(family: readonly number[]): Promise<string[]> {
  for (let look = 0; look < 500 && family.some(isAlive); look++)
    await new Promise((resolve) => setTimeout(resolve, 20))
  return family.filter(isAlive).map((pid) => `${pid} ${commandLine(pid).join(' ')}`)
}

/** Empty for processes that are gone. */
export function commandLine(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`).split('\0').filter(Boolean)
}

function isAlive(pid: number): boolean {
  return commandLine(pid).length > 0
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
