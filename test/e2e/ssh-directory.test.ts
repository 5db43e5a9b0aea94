import {afterAll, beforeAll, expect, test} from '@jest/globals'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import {describeWithSshd, type Sshd, startSshd} from '../support/sshd.js'
import {answered, dumont, sharedHome} from './dumont.js'
import {type Operator, startOperator} from './operator.js'
import {differences, makeMatrix, scratch} from './trees.js'

describeWithSshd('a box over SSH and a directory of the operator as the store', () => {
  let [open, closed]: [Sshd?, Sshd?] = []
  let operator: Operator
  let folder: string
  let remove: () => Promise<void>
  beforeAll(async () => {
    ;({path: folder, remove} = await scratch())
    open = await startSshd({env: {HOME: sharedHome()}})
    closed = await startSshd({config: ['AllowTcpForwarding no'], env: {HOME: sharedHome()}})
    operator = await startOperator(open, closed)
  })
  afterAll(async () => {
    await open?.close()
    await closed?.close()
    await operator?.remove()
    await remove()
  })

  const place = (sshd: Sshd | undefined) => [
    ...(sshd ? ['--host', operator.host(sshd)] : []),
    ...['--store', pathToFileURL(join(folder, 'store')).href],
  ]

  test('bring every kind of entry back through the tunnel', async () => {
    const {home} = operator
    const matrix = await makeMatrix(join(folder, 'matrix'))
    const target = join(folder, 'restored')
    const created = await answered(['snapshot', 'create', ...place(open), matrix], {home})
    expect(created).toMatchObject({code: 0})
    const where = [...place(open), '--target', target, '--devices']
    expect(await answered(['snapshot', 'restore', created.id, ...where], {home})).toMatchObject({
      code: 0,
    })
    expect(await differences(matrix, target, 'sockets')).toEqual([])
  })

  test('say what to do when the server refuses forwarding', async () => {
    const {home} = operator
    const outcome = await dumont(['snapshot', 'create', ...place(closed), folder], {home})
    expect(outcome.stderr).toMatch(/AllowTcpForwarding/u)
    expect(outcome.code).toBeGreaterThanOrEqual(65)
  })
})
