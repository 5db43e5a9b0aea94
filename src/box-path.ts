import {resolve} from 'node:path'

/**
 * A path as it was typed, absolute where that is certain: on this machine a relative one begins at the working directory.
 * What the shell would have expanded (`~`) is left as it is, and refused later, like a relative path on a box.
 */
export function boxPath(path: string, hosts: readonly string[]): string {
  const isHere = hosts.every((host) => host === 'local')
  return isHere && path !== '' && !path.startsWith('~') ? resolve(path) : path
}
