import {connect} from 'node:net'
import {abortable} from './abortable.js'

const LIST = Buffer.from([0, 0, 0, 1, 11])
const LISTED = 12
const LIMIT = 256 * 1024
const PATIENCE_MS = 5000

/** Public key blobs an SSH agent holds, in its order; none when it does not answer in five seconds. */
export async function agentKeys(socket: string, signal?: AbortSignal): Promise<readonly Buffer[]> {
  const client = connect(socket)
  client.setTimeout(PATIENCE_MS, () => client.destroy())
  const answer = new Promise<readonly Buffer[]>((resolve) => {
    let bytes = Buffer.alloc(0)
    client.once('connect', () => client.write(LIST))
    client.on('data', (more) => {
      bytes = Buffer.concat([bytes, more])
      const wanted = bytes.length < 4 ? Infinity : 4 + bytes.readUInt32BE(0)
      if (bytes.length >= wanted) resolve(keysIn(bytes.subarray(4, wanted)))
      else if (bytes.length > LIMIT) client.destroy()
    })
    client.on('error', () => resolve([]))
    client.once('close', () => resolve([]))
  })
  try {
    return await abortable(answer, signal)
  } finally {
    client.destroy()
  }
}

function keysIn(message: Buffer): readonly Buffer[] {
  if (message[0] !== LISTED || message.length < 5) return []
  const keys: Buffer[] = []
  let at = 5
  for (let left = message.readUInt32BE(1); left > 0 && at + 4 <= message.length; left -= 1) {
    const length = message.readUInt32BE(at)
    const key = message.subarray(at + 4, at + 4 + length)
    if (key.length < length) break
    keys.push(key)
    at += 4 + length
    // The comment.
    at += 4 + (at + 4 <= message.length ? message.readUInt32BE(at) : 0)
  }
  return keys
}
