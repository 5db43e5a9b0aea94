import {execFileSync} from 'node:child_process'
import {test} from '@jest/globals'

/** Runs a test where mounts can be made in a namespace of their own; else it counts as skipped, and says so. */
export const testWithMount: typeof test | typeof test.skip = canMount()
  ? test
  : loudly('tests of full disks and of boxes without Python need the right to mount')

/** A few hundred kilobytes of disk at `path`; the caller unmounts it. */
export function mountTmpfs(path: string): void {
  const argv = ['-t', 'tmpfs', '-o', 'size=256k', 'dumont-test', path]
  execFileSync('mount', argv, {stdio: 'pipe'})
}

function canMount(): boolean {
  try {
    const argv = ['-m', 'mount', '--bind', '/dev/null', '/etc/hostname']
    execFileSync('unshare', argv, {stdio: 'pipe'})
    return true
  } catch {
    return false
  }
}

function loudly(reason: string): typeof test.skip {
  console.warn(`SKIPPED: ${reason}`)
  return test.skip
}
