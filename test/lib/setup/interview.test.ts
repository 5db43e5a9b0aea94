import {describe, expect, test} from '@jest/globals'
import type {Answers} from '../../../src/lib/setup/answers.js'
import {interview, type Interviewer} from '../../../src/lib/setup/interview.js'

const ACCOUNT = '0123456789abcdef0123456789abcdef'

/** Answers by the beginning of the question; a wrong one is asked again, as on a terminal. */
function operator(script: Readonly<Record<string, string | readonly string[]>>) {
  const asked: string[] = []
  const left = new Map(
    Object.entries(script).map(([question, answers]) => [question, [answers].flat()]),
  )
  const next = (question: string): string => {
    asked.push(question)
    const entry = [...left].find(([beginning]) => question.startsWith(beginning))
    const answer = entry?.[1].shift()
    if (answer === undefined) throw new Error(`no answer to ${question}`)
    return answer
  }
  const interviewer: Interviewer = {
    choose: async <T extends string>(question: string) => next(question) as T,
    askSecret: async (question) => next(question),
    ask: async (question, {standard, check} = {}) => {
      for (;;) {
        const answer = next(question) || (standard ?? '')
        if ((check?.(answer) ?? true) === true) return answer
      }
    },
  }
  return {asked, interviewer}
}

const hold = (given: Answers, script: Parameters<typeof operator>[0]) => {
  const {asked, interviewer} = operator(script)
  return interview(given, '/standard', interviewer).then((answers) => ({answers, asked}))
}

describe('the interview', () => {
  test('leads to a directory, by default the standard one', async () => {
    expect((await hold({}, {Where: 'directory', Directory: ''})).answers).toEqual({
      store: '/standard',
    })
    expect(
      (await hold({}, {Where: 'directory', Directory: ['relative', '/mine']})).answers,
    ).toEqual({store: '/mine'})
  })

  test('leads to R2, and asks again what cannot be right', async () => {
    const {answers} = await hold(
      {},
      {
        Where: 'r2',
        Cloudflare: ['my account', ACCOUNT],
        Jurisdiction: 'eu',
        Bucket: ['Not A Bucket', 'snapshots'],
        Prefix: ['../x', ''],
        'Access key': ['', 'AKID'],
        Secret: 'secret',
      },
    )
    expect(answers).toEqual({
      account: ACCOUNT,
      jurisdiction: 'eu',
      store: 's3://snapshots/dumont',
      accessKeyId: 'AKID',
      secretAccessKey: 'secret',
    })
  })

  test('does not write down that there is no jurisdiction', async () => {
    const script = {
      Where: 'r2',
      Cloudflare: ACCOUNT,
      Jurisdiction: 'default',
      Bucket: 'bucket',
      Prefix: 'p',
      Access: 'A',
      Secret: 'S',
    }
    expect((await hold({}, script)).answers).not.toHaveProperty('jurisdiction')
  })

  test('leads to AWS with its own credentials', async () => {
    const {answers, asked} = await hold(
      {},
      {Where: 's3', Endpoint: '', Region: '', Bucket: 'bucket', Prefix: '', Access: ''},
    )
    expect(answers).toEqual({region: 'us-east-1', store: 's3://bucket/dumont'})
    expect(asked).not.toContain('Secret access key')
  })

  test('leads to another service without asking for a region', async () => {
    const script = {
      Where: 's3',
      Endpoint: ['host:9000', 'https://host:9000'],
      Bucket: 'bucket',
      Prefix: 'p',
      Access: 'A',
      Secret: 'S',
    }
    expect((await hold({}, script)).answers).toEqual({
      endpoint: 'https://host:9000',
      store: 's3://bucket/p',
      accessKeyId: 'A',
      secretAccessKey: 'S',
    })
  })

  test('asks nothing that the flags said', async () => {
    const given = {
      store: 's3://bucket/p',
      endpoint: 'https://host',
      region: 'auto',
      accessKeyId: 'A',
      secretAccessKey: 'S',
    }
    expect(await hold(given, {})).toEqual({answers: given, asked: []})
    expect(await hold({store: 'file:///x'}, {})).toEqual({answers: {store: 'file:///x'}, asked: []})
  })

  test('asks for the secret of a key that a flag named', async () => {
    const given = {account: ACCOUNT, store: 's3://bucket/p', accessKeyId: 'A'}
    expect((await hold(given, {Secret: 'S'})).answers).toEqual({...given, secretAccessKey: 'S'})
  })
})
