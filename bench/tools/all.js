import {borg} from './borg.js'
import {dumont} from './dumont.js'
import {rclone} from './rclone.js'
import {restic} from './restic.js'
import {tar} from './tar.js'

/**
 * The tools whose programs were found, dumont first.
 *
 * @param {Record<string, string>} programs
 * @param {{sshd?: {host: string}}} also
 * @returns {Promise<import('./command.js').Tool[]>}
 */
export async function describeTools(programs, {sshd}) {
  const tools = [dumont()]
  if (sshd) tools.push(dumont({sshd}))
  if (programs.tar && programs.zstd) tools.push(await tar(programs))
  if (programs.restic) tools.push(await restic(programs.restic))
  if (programs.borg) tools.push(await borg(programs))
  if (programs.rclone) tools.push(await rclone(programs.rclone))
  return tools
}
