import {mkdtempSync} from 'node:fs'
import {mkdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {
  checkHostKey,
  fingerprint,
  knownKeyTypes,
  parseKnownHosts,
} from '../../src/lib/remote/known-hosts.js'
import {publicPartOfPrivateKey} from '../../src/lib/remote/private-key.js'
import {formatSshAddress, parseSshAddress} from '../../src/lib/remote/ssh-address.js'
import {parseSshConfig} from '../../src/lib/remote/ssh-options.js'
import {resolveTarget} from '../../src/lib/remote/ssh-target.js'
import {loadSettings} from '../../src/lib/settings/load-settings.js'
import {bufferOf, insist, refusing, type Target, textOf} from './target.js'

const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ5KsC5UBC7tLzQ6jvWzkwfGyCJQ0r0XqCZ1pXyHqXyH'
const NAMES = ['gpu1.example.com', '[203.0.113.5]:2222', '::1']
const texts = (...all: readonly string[]) => all.map((text) => Buffer.from(text))

const knownHosts: Target = {
  name: 'known-hosts',
  seeds: () =>
    texts(
      `gpu1.example.com,203.0.113.* ssh-ed25519 ${KEY} note\n`,
      `@revoked * ssh-ed25519 ${KEY}\n@cert-authority *.example.com ssh-ed25519 ${KEY}\n`,
      `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 ${KEY}\n`,
      `!gpu1.example.com,*.example.com,[203.0.113.5]:2222 ssh-ed25519 ${KEY}\n`,
    ),
  run(input) {
    const entries = parseKnownHosts(textOf(input), 'known_hosts')
    const other = Buffer.from(KEY, 'base64')
    other[40] = 1
    for (const name of NAMES) {
      knownKeyTypes(entries, name)
      // A key that nobody wrote down is known to nobody, whatever else stands there.
      const verdict = checkHostKey(entries, name, other)
      insist(
        verdict.kind !== 'known' || entries.some(({key}) => key.equals(other)),
        'a key from nowhere',
      )
    }
    insist(fingerprint(bufferOf(input)).startsWith('SHA256:'), 'a fingerprint')
    publicPartOfPrivateKey(
      Buffer.concat([
        Buffer.from('-----BEGIN OPENSSH PRIVATE KEY-----\n'),
        input,
        Buffer.from('-----END'),
      ]),
    )
    const binary = Buffer.concat([Buffer.from('openssh-key-v1\0'), input]).toString('base64')
    publicPartOfPrivateKey(Buffer.from(`-----BEGIN OPENSSH PRIVATE KEY-----\n${binary}\n-----END`))
  },
}

const sshConfig: Target = {
  name: 'ssh-config',
  seeds: () =>
    texts(
      'Host gpu1\n  HostName 203.0.113.5\n  Port 2222\n  User root\n  IdentityFile ~/.ssh/%h_key\n  ProxyJump jump@bastion:22,b2\n',
      'Match user root exec "true"\n  ProxyCommand nc %h %p\nHost * !gpu2\n  UserKnownHostsFile none\n  IdentityAgent ${X}\n',
      'host=gpu?\n  hostname = "%h.example.com"\n  hostkeyalias A\n',
    ),
  async run(input) {
    const text = textOf(input)
    for (const asked of ['gpu1', 'root@gpu1:22', 'gpu2.example.com'])
      await refusing(['CONFIG', 'USAGE'], () => {
        const context = {
          config: parseSshConfig(text),
          env: {USER: 'me'},
          home: '/home/me',
          notice: () => {},
        }
        const target = resolveTarget(asked, context)
        insist(target.kind === 'ssh' && target.jumps.length <= 8, 'a way through too many hosts')
        insist(target.port >= 1 && target.port <= 65_535, 'a port')
      })
  },
}

const sshAddress: Target = {
  name: 'ssh-address',
  seeds: () => texts('root@gpu1:2222', 'ssh://root@[2001:db8::1]:22/', '2001:db8::1', 'gpu1'),
  async run(input) {
    const address = await refusing(['USAGE'], () => parseSshAddress(textOf(input)))
    if (!address) return
    const {host, port = 22, user = 'root'} = address
    insist(
      /^[^-\s]/.test(host) && !/[\p{Cc}\s]/u.test(host + user),
      'an address that reads as something else',
    )
    const again = parseSshAddress(formatSshAddress({host, port, user}))
    insist(again.host === host && again.port === port && again.user === user, 'another address')
  },
}

let folder: string | undefined

const config: Target = {
  name: 'config',
  async end() {
    if (folder !== undefined) await rm(folder, {recursive: true})
  },
  isSlow: true,
  seeds: () =>
    texts(
      '{"store":"s3://bucket/prefix","endpoint":"https://s3.example.com","parts":8,"memory":"1GiB","profiles":{"a":{"codec":"zstd"}}}',
      '{"exclude":["*.tmp"],"survives":["/data"],"secretAccessKey":"x","profile":"a","profiles":{"a":{}}}',
      'store: /data\nexclude: [a, b]\nexcludeCaches: true\nprofiles:\n  a: &a {codec: zstd}\n  b: *a\n',
    ),
  async run(input) {
    folder ??= mkdtempSync(join(tmpdir(), 'dumont-fuzz-'))
    for (const name of ['.dumontrc', 'dumont.config.json', 'package.json']) {
      const home = join(folder, name)
      const file = join(home, name)
      await write(
        home,
        file,
        name === 'package.json'
          ? Buffer.concat([Buffer.from('{"dumont":'), input, Buffer.from('}')])
          : input,
      )
      const settings = await refusing(['CONFIG', 'USAGE'], () =>
        loadSettings({cwd: home, env: {}, flags: {}, home}),
      )
      insist(!settings || (settings.parts ?? 1) >= 1, 'settings')
    }
  },
}

async function write(home: string, file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(home, {recursive: true})
  await writeFile(file, bytes, {mode: 0o600})
}

export const OPERATOR_TARGETS: readonly Target[] = [knownHosts, sshConfig, sshAddress, config]
