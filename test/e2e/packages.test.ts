import {writeFile} from 'node:fs/promises'
import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {canContain} from '../support/container.js'
import {sshdAvailable} from '../support/sshd.js'
import {VastWorld} from './vast-world.js'

const possible = sshdAvailable() && canContain()
const whereContainersAre = possible ? describe : describe.skip
if (!possible) console.warn('SKIPPED: packages on boxes need sshd and the right to make containers')

/** As apt leaves it: a file, a link beside it, and a file of configuration. */
const INSTALL = `mkdir -p /opt/tool /etc/tool /var/lib/dpkg/info
echo program >/opt/tool/run.1; ln -s run.1 /opt/tool/run; echo setting >/etc/tool/conf
cd /; md5sum opt/tool/run.1 >/var/lib/dpkg/info/tool:amd64.md5sums
printf '%s\\n' /. /opt/tool /opt/tool/run.1 /opt/tool/run /etc/tool/conf >/var/lib/dpkg/info/tool:amd64.list
printf 'Package: tool\\nConffiles:\\n /etc/tool/conf %s\\n' "$(md5sum </etc/tool/conf | cut -d ' ' -f 1)" >/var/lib/dpkg/status`

whereContainersAre('what packages brought', () => {
  let world: VastWorld
  let id: number
  beforeAll(async () => {
    world = await VastWorld.open()
    ;({id} = await world.rent())
    await writeFile(world.box(id).container.at('/workspace/notes'), 'kept')
    sh(INSTALL)
  })
  afterAll(() => world?.close())
  const sh = (script: string) => world.box(id).container.run('sh', '-ec', script)

  test('need not be saved, and is told', async () => {
    const {receipt} = await world.hibernate(id, {goal: 'protect'})
    const census = receipt?.checks.find(({rule}) => rule === 'census')
    expect(census?.by).toBe('box')
    expect(
      census?.paths?.filter(({reason}) => reason?.startsWith('installed by packages') === true),
    ).toMatchObject([
      {files: 2, path: '/opt/tool'},
      {files: 1, path: '/etc/tool'},
    ])
  })
  test.each([
    ['a changed program', 'echo mine >>/opt/tool/run.1', 'echo program >/opt/tool/run.1'],
    ['a changed setting', 'echo mine >>/etc/tool/conf', 'echo setting >/etc/tool/conf'],
    ['a file beside it', 'echo mine >/opt/tool/data', 'rm /opt/tool/data'],
    [
      'a link that leads elsewhere',
      'ln -sfn /workspace/notes /opt/tool/run',
      'ln -sfn run.1 /opt/tool/run',
    ],
  ])('but %s would be lost', async (_what, make, undo) => {
    sh(make)
    await expect(world.hibernate(id)).rejects.toMatchObject({
      message: expect.stringContaining('census'),
    })
    sh(undo)
    expect(world.deletes).toBe(0)
  })
  test('ends with the box once all is as it was', async () => {
    expect(await world.hibernate(id)).toMatchObject({state: 'hibernated'})
  })
})
