import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'
import {type FaultyProxy, startFaultyProxy} from '../support/faulty-proxy.js'
import {findVersitygw, startVersitygw, type Versitygw} from '../support/versitygw.js'
import {failure} from './failure.js'
import {credentials} from './operator.js'
import {ROOT} from './dumont.js'
import {join} from 'node:path'

const workspace = join(ROOT, 'docs')
const whereS3Is = findVersitygw() ? describe : describe.skip

whereS3Is('an S3 store', () => {
  let server: Versitygw
  let proxy: FaultyProxy
  beforeAll(async () => {
    server = await startVersitygw()
    proxy = await startFaultyProxy(server.endpoint)
  })
  afterAll(async () => {
    await proxy?.close()
    await server?.close()
  })
  const create = (bucket: string, env: Record<string, string>) =>
    failure(
      [
        'create',
        '--host',
        'local',
        '--store',
        `s3://${bucket}/p`,
        '--endpoint',
        proxy.endpoint,
        workspace,
      ],
      {env},
    )

  test('whose bucket is missing is a matter of configuration', async () => {
    const failed = await create('no-such-bucket', credentials(server))
    expect(failed).toMatchObject({code: 78, error: 'BUCKET_MISSING'})
    expect(failed.text).toContain('no-such-bucket')
  })

  test('that refuses the credentials never shows them', async () => {
    const wrong = {...credentials(server), AWS_SECRET_ACCESS_KEY: 'not-the-secret'}
    const failed = await create(server.bucket, wrong)
    expect(failed).toMatchObject({code: 77, error: 'ACCESS_DENIED'})
    expect(failed.text).not.toContain('not-the-secret')
  })

  test('without credentials says where they are looked for', async () => {
    const failed = await create(server.bucket, {})
    expect([77, 78]).toContain(failed.code)
    expect(failed.text).toMatch(/AWS_ACCESS_KEY_ID/u)
  })

  test('whose clock is an hour away is said to be so', async () => {
    proxy.inject({fault: {kind: 'skew', milliseconds: 3_600_000}, times: 9999})
    const failed = await create(server.bucket, credentials(server))
    proxy.clear()
    expect(failed).toMatchObject({code: 78, error: 'CLOCK_SKEW'})
  })

  test('that is not there is unreachable', async () => {
    const gone = await startVersitygw()
    await gone.close()
    const argv = ['--store', `s3://${gone.bucket}/p`, '--endpoint', gone.endpoint]
    expect(await failure(['list', ...argv], {env: credentials(gone)})).toMatchObject({
      code: 69,
      error: 'UNREACHABLE',
    })
  })
})
