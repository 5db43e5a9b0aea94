import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {mkdir, readFile, readdir, rm, symlink, writeFile} from 'node:fs/promises'
import {basename, join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {makeKey, sshdAvailable, type Sshd, startSshd} from '../support/sshd.js'
import {answered, sharedHome} from './dumont.js'
import {failure} from './failure.js'
import {testWithMount} from './mounts.js'
import {type Operator, startOperator} from './operator.js'
import {scratch} from './trees.js'

const whereSshIs = sshdAvailable() ? describe : describe.skip

whereSshIs('a host', () => {
  let box: Sshd
  let operator: Operator
  let folder: string
  let workspace: string
  let remove: () => Promise<void>
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    workspace = join(folder, 'workspace')
    await mkdir(workspace)
    await writeFile(join(workspace, 'file'), 'content')
    box = await startSshd({env: {HOME: sharedHome()}})
    operator = await startOperator(box)
  })
  afterAll(async () => {
    await box?.close()
    await operator?.remove()
    await remove()
  })
  /** Of each operator its own: nobody else has its keys. */
  const store = ({home}: Pick<Operator, 'home'>) => pathToFileURL(join(folder, basename(home))).href
  const create = (host: string, by = operator) =>
    failure(['create', '--host', host, '--store', store(by), workspace], by)

  test('that has no address is unreachable', async () => {
    const failed = await create('root@no-such-box.invalid')
    expect(failed).toMatchObject({code: 69, error: 'UNREACHABLE'})
    expect(failed.text).toContain('no-such-box.invalid')
  })

  test('that refuses the connection is unreachable', async () => {
    const gone = await startSshd()
    await gone.close()
    expect(await create(`root@127.0.0.1:${gone.port}`)).toMatchObject({
      code: 69,
      error: 'UNREACHABLE',
    })
  })

  test('never seen before is refused without a terminal, and accepted when told to', async () => {
    const stranger = await startOperator(box)
    const known = join(stranger.home, '.ssh/known_hosts')
    await writeFile(known, '')
    const failed = await create(stranger.host(box), stranger)
    expect(failed).toMatchObject({code: 77, error: 'HOST_KEY_UNKNOWN'})
    expect(failed.text).toMatch(/--accept-new-host-key/u)
    const argv = ['--host', stranger.host(box), '--store', store(stranger), '--accept-new-host-key']
    const accepted = await answered(['snapshot', 'create', ...argv, workspace], stranger)
    expect(accepted.code).toBe(0)
    expect(await readFile(known, 'utf8')).toContain('ssh-ed25519')
    await stranger.remove()
  })

  test('with another key than before is refused, whatever was told', async () => {
    const fooled = await startOperator(box)
    const other = makeKey(join(fooled.home, 'other'))
    const key = (await readFile(`${other}.pub`, 'utf8')).trim()
    await writeFile(join(fooled.home, '.ssh/known_hosts'), `[127.0.0.1]:${box.port} ${key}\n`)
    const argv = ['--host', fooled.host(box), '--store', store(fooled), '--accept-new-host-key']
    const failed = await failure(['create', ...argv, workspace], fooled)
    expect(failed).toMatchObject({code: 77, error: 'HOST_KEY_CHANGED'})
    await fooled.remove()
  })

  test('that knows none of the keys says so', async () => {
    const other = await startOperator(box)
    await rm(join(other.home, '.ssh/id_0'))
    makeKey(join(other.home, '.ssh/id_0'))
    expect(await create(other.host(box), other)).toMatchObject({
      code: 77,
      error: 'AUTHENTICATION',
    })
    await other.remove()
  })

  testWithMount('without Python is named as unsuitable', async () => {
    const bare = await startSshd({
      config: [`ForceCommand ${await hidingPython(folder)}`],
      env: {HOME: folder},
    })
    const visitor = await startOperator(bare)
    const failed = await create(visitor.host(bare), visitor)
    await bare.close()
    await visitor.remove()
    expect(failed).toMatchObject({code: 70, error: 'BOX_UNSUITABLE'})
    expect(failed.text).toMatch(/Python/u)
  })

  test('whose login files chatter works all the same', async () => {
    const home = join(folder, 'chatty')
    await mkdir(home)
    for (const name of await readdir(sharedHome()))
      await symlink(join(sharedHome(), name), join(home, name))
    await writeFile(join(home, '.bashrc'), 'echo Welcome to your GPU; echo careful >&2\n')
    const chatty = await startSshd({env: {HOME: home}})
    const visitor = await startOperator(chatty)
    const argv = ['--host', visitor.host(chatty), '--store', store(visitor), workspace]
    const answer = await answered(['snapshot', 'create', ...argv], visitor)
    await chatty.close()
    await visitor.remove()
    expect(answer).toMatchObject({code: 0})
  })
})

/** A script that runs what was asked for where every Python of this machine is an empty file. */
async function hidingPython(folder: string): Promise<string> {
  const file = join(folder, 'hide-python')
  const text = `#!/bin/sh
exec unshare -m sh -c '
  for found in /usr/bin/python3* /usr/local/bin/python3* /opt/*/bin/python*; do
    [ -e "$found" ] && mount --bind /dev/null "$(readlink -f "$found")"
  done
  PATH=/usr/bin:/bin exec sh -c "$SSH_ORIGINAL_COMMAND"
'
`
  await writeFile(file, text, {mode: 0o755})
  return file
}
