import type {Clock} from '../clock.js'
import type {Deadline} from './ready-deadline.js'
import type {ConnectContext} from './ssh-dependencies.js'
import {offerKeys, type KeyTools, type ReadKey} from './ssh-keys.js'
import type {ConnectOptions, SshAgent, SshLibrary} from './ssh-library.js'
import type {SshTarget} from './ssh-target.js'

const AGENT_MS = 5000

interface LoginControl {
  readonly deadline: Deadline
  readonly fail: (error: unknown) => void
}

/** Answers ssh2's question what to offer next, key by key; `offered` fills with the names of those tried. */
export function keyLogin(
  {identities, user}: SshTarget,
  {library, clock, askPassphrase, passphrases = new Map<string, string>(), notice}: ConnectContext,
  {deadline, fail}: LoginControl,
): {offered: string[]; handler: ConnectOptions['authHandler']} {
  const offered: string[] = []
  const questions = {notice, passphrases, ...(askPassphrase === undefined ? {} : {askPassphrase})}
  const keys = offerKeys(identities, keyTools(library, clock), questions)
  const nextOffer = async (answer: (offer: unknown) => void) => {
    deadline.pause()
    const {done, value} = await keys.next()
    deadline.resume()
    if (!done) offered.push(value.label)
    answer(done ? false : {...value, username: user})
  }
  const handler: ConnectOptions['authHandler'] = (methods, _partial, answer) => {
    if (methods !== null && !methods.includes('publickey')) answer(false)
    else nextOffer(answer).catch(fail)
  }
  return {handler, offered}
}

function keyTools({createAgent, utils}: SshLibrary, clock: Clock): KeyTools {
  return {
    agentKeys: (socket) => agentKeys(createAgent(socket), clock),
    agentWith: (socket, key) =>
      Object.assign(createAgent(socket), {
        getIdentities: (answer: (error: null, keys: ReadKey[]) => void) => answer(null, [key]),
      }),
    parseKey: (text, passphrase) => utils.parseKey(text, passphrase),
  }
}

async function agentKeys(agent: SshAgent, clock: Clock): Promise<readonly ReadKey[]> {
  const waiting = new AbortController()
  const late = clock.sleep(AGENT_MS, waiting.signal).then(() => {
    throw new Error(`no answer within ${AGENT_MS / 1000} s`)
  })
  late.catch(() => {})
  const answer = new Promise<readonly ReadKey[]>((resolve, reject) => {
    agent.getIdentities((error, keys) => (error ? reject(error) : resolve(keys ?? [])))
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    waiting.abort()
  }
}
