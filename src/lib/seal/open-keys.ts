import {createHmac, timingSafeEqual} from 'node:crypto'
import {DumontError} from '../errors.js'
import {bytesOfBase64} from './base64.js'
import {macKey, objectKey, runSecret} from './derive.js'
import type {Keyring, Master} from './keyring.js'
import {
  HEADER_LENGTH,
  kindNumber,
  objectHeader,
  openRecord,
  parseHeader,
  parseSeal,
  runHeader,
  sealRecord,
  unsealed,
} from './sealed-object.js'
import type {Protection, SealedKind, StoreKeys} from './store-keys.js'

/** Every run of a store has a secret; those of many snapshots are met in one command. */
const KEPT_RUNS = 20_000

/** The keys of a store from its unlocked keyring. */
export function openKeys(
  keyring: Keyring,
  protection: Protection,
  random: (count: number) => Uint8Array,
): StoreKeys {
  return protection === 'sealed' ? sealing(keyring, random) : proving(keyring)
}

/** For a machine without a key to a store that hides nothing: what it reads is not proven, and it writes nothing. */
export function unprovenKeys(): StoreKeys {
  return {
    ...unsealing,
    close() {
      throw new DumontError('KEY', 'this machine has no key to write to this store', {
        hint: 'bring one over: dumont key import',
      })
    },
    reveal: (_kind, _key, stored) => splitMac(stored).plain,
  }
}

function sealing(keyring: Keyring, random: (count: number) => Uint8Array): StoreKeys {
  const repository = Buffer.from(keyring.repository, 'hex')
  const secretOf = rememberRuns(keyring, repository)
  const newest = lastOf(keyring)
  const newRun = () => {
    const runSalt = Buffer.from(random(32))
    const header = runHeader({repository, master: Buffer.from(newest.id, 'hex'), runSalt})
    return {header, secret: secretOf(newest.id, runSalt)}
  }
  const keyOf = (kind: SealedKind, seal: string) => {
    const {master, objectSalt, runSalt} = parseSeal(seal)
    const run = runHeader({repository, master: Buffer.from(master, 'hex'), runSalt})
    const number = kindNumber(kind)
    const committed = objectKey(secretOf(master, runSalt), objectSalt, number)
    return {header: objectHeader(run, number, objectSalt, committed.commitment), ...committed}
  }
  let own: ReturnType<typeof newRun> | undefined
  return {
    protection: 'sealed',
    newRun,
    objectSeal(kind, seal) {
      const {header, key} = keyOf(kind, seal)
      return {header: header.bytes, secret: key}
    },
    open(kind, seal, record, at = HEADER_LENGTH) {
      const {header, ...committed} = keyOf(kind, seal)
      return openRecord(header, committed, record, {at})
    },
    close(kind, name, plain) {
      own ??= newRun()
      const salt = Buffer.from(random(32))
      const {commitment, key} = objectKey(own.secret, salt, kindNumber(kind))
      const header = objectHeader(own.header, kindNumber(kind), salt, commitment)
      const sealed = Buffer.concat([header.bytes, sealRecord(header, key, plain, {name})])
      return Buffer.from(`${JSON.stringify({format: 1, sealed: sealed.toString('base64')})}\n`)
    },
    reveal(kind, name, stored) {
      const bytes = unwrap(stored)
      const header = parseHeader(bytes, kind, repository)
      const run = secretOf(header.master, header.runSalt)
      const committed = objectKey(run, header.objectSalt, header.kind)
      return openRecord(header, committed, bytes.subarray(HEADER_LENGTH), {name})
    },
  }
}

function proving(keyring: Keyring): StoreKeys {
  const repository = Buffer.from(keyring.repository, 'hex')
  const keys = new Map(keyring.masters.map(({id, key}) => [id, macKey(key, repository)]))
  const newest = lastOf(keyring)
  const newestKey = macKey(newest.key, repository)
  return {
    ...unsealing,
    close(_kind, name, plain) {
      const {head, end} = splitPlain(plain)
      const mac = macOf(newestKey, name, head).toString('hex')
      return Buffer.concat([head, Buffer.from(`,"mac":"${newest.id}.${mac}"${end}`)])
    },
    reveal(_kind, name, stored) {
      const {head, mac, master, plain} = splitMac(stored)
      const key = keys.get(master)
      if (!key) throw strange(master)
      if (!timingSafeEqual(macOf(key, name, head), mac))
        throw unsealed('its MAC is not that of the keys of this store')
      return plain
    },
  }
}

function macOf(key: Uint8Array, name: string, head: Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${name}\n`).update(head).digest()
}

/** What a store without seals answers to those who ask for them. */
const unsealing = {
  protection: 'authenticated' as const,
  newRun: () => undefined,
  objectSeal: refuseSeal,
  open: refuseSeal,
}

function refuseSeal(_kind: SealedKind, _seal: string): never {
  throw unsealed('a seal in a store that is not sealed')
}

/** Secrets of runs by master and salt, kept because one run seals many objects. */
function rememberRuns({masters}: Keyring, repository: Buffer) {
  const byId = new Map(masters.map((master) => [master.id, master.key]))
  const known = new Map<string, Buffer>()
  return (id: string, salt: Buffer): Buffer => {
    const name = id + salt.toString('latin1')
    const found = known.get(name)
    if (found) return found
    const master = byId.get(id)
    if (!master) throw strange(id)
    if (known.size >= KEPT_RUNS) known.clear()
    const secret = runSecret(master, salt, repository)
    known.set(name, secret)
    return secret
  }
}

function lastOf({masters}: Keyring): Master {
  const last = masters.at(-1)
  if (!last) throw new Error('a keyring without masters')
  return last
}

function strange(master: string): DumontError {
  return new DumontError('INTEGRITY', `made with master key ${master}, which is none of ours`, {
    hint: 'if the keys were rotated elsewhere, bring the new one over: dumont key import',
  })
}

/** The sealed object in `{"format": 1, "sealed": "…"}`. */
function unwrap(stored: Uint8Array): Buffer {
  const [, format, base64 = ''] =
    /^\{"format": ?(\d{1,9}), ?"sealed": ?"([A-Za-z0-9+/=]*)"\}\n?$/.exec(
      Buffer.from(stored).toString('latin1'),
    ) ?? []
  if (format === undefined) throw unsealed('not sealed, in a store where everything is')
  if (format !== '1')
    throw new DumontError('FORMAT_NEWER', `sealed in format ${format}; this dumont knows 1`, {
      hint: 'update dumont',
    })
  const bytes = bytesOfBase64(base64)
  if (!bytes) throw unsealed('a sealed object is damaged')
  return bytes
}

function splitPlain(plain: Uint8Array): {readonly head: Uint8Array; readonly end: string} {
  const end = plain.at(-1) === 0x0a ? '}\n' : '}'
  const head = plain.subarray(0, plain.length - end.length)
  if (Buffer.from(plain.subarray(head.length)).toString() !== end || head.length < 2)
    throw new Error('only a JSON object with properties can carry a MAC')
  return {head, end}
}

const MAC = /^,"mac":"([0-9a-f]{16})\.([0-9a-f]{64})"(\}\n?)$/

function splitMac(stored: Uint8Array) {
  const length = stored.at(-1) === 0x0a ? 92 : 91
  const head = stored.subarray(0, Math.max(0, stored.length - length))
  const tail = Buffer.from(stored.subarray(head.length)).toString('latin1')
  const [, master = '', mac = '', end = ''] = MAC.exec(tail) ?? []
  if (end === '') throw unsealed('without a MAC, in a store where everything has one')
  const plain = Buffer.concat([head, Buffer.from(end)])
  return {head, mac: Buffer.from(mac, 'hex'), master, plain}
}
