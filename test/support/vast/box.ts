import {execFile} from 'node:child_process'
import {appendFile, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {type Sshd, startSshd} from '../sshd.js'

/** What is known of an instance when its box is made. */
export interface BoxOrder {
  readonly id: number
  readonly label: string | undefined
  readonly machine: number
  readonly env: Readonly<Record<string, string>>
}

/** A machine behind an instance, reached on the loopback. */
export interface FakeBox {
  readonly host: string
  readonly port: number
  /** From now on this key may log in. */
  authorize?(publicKey: string): Promise<void>
  /** Takes the place of the fake's own `ls` and `du`. */
  execute?(command: string): Promise<string>
  /** What the vendor's log channel shows. */
  log?(): string
  close(): Promise<void>
}

export type BoxMaker = (order: BoxOrder) => Promise<FakeBox>

export interface SshdBox extends FakeBox {
  readonly id: number
  readonly sshd: Sshd
  /** HOME of every session on it. */
  readonly home: string
}

export interface SshdBoxes {
  readonly make: BoxMaker
  /** By instance; boxes of destroyed instances stay in it, closed. */
  readonly boxes: ReadonlyMap<number, SshdBox>
}

const BANNER =
  'Welcome to vast.ai. If authentication fails, try again after a few seconds,\nand double check your ssh key.\n'

/**
 * A real sshd for each instance: the vendor's banner on stderr, `CONTAINER_ID` set, no key let in before it is attached.
 * `home` gives the home directory of an instance's sessions; it is made when missing, and taken away with the instance.
 */
export function sshdBoxes({home}: {readonly home?: (id: number) => string} = {}): SshdBoxes {
  const boxes = new Map<number, SshdBox>()
  const make = async (order: BoxOrder) => {
    const box = await startBox(order, home?.(order.id))
    boxes.set(order.id, box)
    return box
  }
  return {boxes, make}
}

async function startBox({env, id}: BoxOrder, home: string | undefined): Promise<SshdBox> {
  const directory = await mkdtemp(join(tmpdir(), 'dumont-vast-'))
  const [keys, banner] = [join(directory, 'authorized_keys'), join(directory, 'banner')]
  await Promise.all([writeFile(keys, ''), writeFile(banner, BANNER)])
  if (home !== undefined) await mkdir(home, {recursive: true, mode: 0o700})
  const sshd = await startSshd({
    config: [`AuthorizedKeysFile ${keys}`, `Banner ${banner}`],
    env: {
      ...env,
      CONTAINER_ID: String(id),
      VAST_CONTAINERLABEL: `C.${id}`,
      ...(home !== undefined && {HOME: home}),
    },
  })
  const own = [directory, ...(home === undefined ? [] : [home])]
  return {
    id,
    sshd,
    home: home ?? sshd.home,
    host: '127.0.0.1',
    port: sshd.port,
    authorize: (publicKey) => appendFile(keys, `${publicKey}\n`),
    log: () => `${BANNER}host key ${sshd.hostKeyLine}\n`,
    async close() {
      await sshd.close()
      for (const path of own) await rm(path, {force: true, recursive: true})
    },
  }
}

/** The two harmless commands of the vendor's channel, truly run: the boxes share this machine's files. */
export async function runVendorCommand(command: string): Promise<string> {
  const [program = '', ...words] = command.trim().split(/\s+/u)
  const quiet = {timeout: 10_000, maxBuffer: 1024 * 1024}
  const {stderr, stdout} = await promisify(execFile)(program, words, quiet).catch(
    (error: {stdout?: string; stderr?: string}) => ({
      stdout: error.stdout ?? '',
      stderr: error.stderr ?? '',
    }),
  )
  return stdout + stderr
}

/** The public half of a box's client key, as attachKey wants it. */
export async function publicKeyOf({identityFile}: Pick<Sshd, 'identityFile'>): Promise<string> {
  return (await readFile(`${identityFile}.pub`, 'utf8')).trim()
}
