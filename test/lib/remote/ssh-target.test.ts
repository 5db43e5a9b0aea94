import {describe, expect, test} from '@jest/globals'

import {parseSshConfig} from '../../../src/lib/remote/ssh-options.js'
import {resolveTarget, type SshTarget} from '../../../src/lib/remote/ssh-target.js'

describe('an address', () => {
  test.each([
    ['root@1.2.3.4', 'root', '1.2.3.4', 22],
    ['root@1.2.3.4:2222', 'root', '1.2.3.4', 2222],
    ['gpu1', 'me', 'gpu1', 22],
    ['gpu1:2222', 'me', 'gpu1', 2222],
    ['root@[2001:db8::1]:2222', 'root', '2001:db8::1', 2222],
    ['root@[2001:db8::1]', 'root', '2001:db8::1', 22],
    ['2001:db8::1', 'me', '2001:db8::1', 22],
    ['ssh://root@gpu1:2222', 'root', 'gpu1', 2222],
    ['ssh://gpu1/', 'me', 'gpu1', 22],
    ['first@last@gpu1', 'first@last', 'gpu1', 22],
  ])('%s is read', (text, user, host, port) => {
    expect(resolve(text)).toMatchObject({host, port, user})
  })

  test('local is this machine', () => {
    expect(resolveTarget('local', context(''))).toEqual({kind: 'local'})
  })

  test.each([
    '',
    '@gpu1',
    'root@',
    'gpu1:0',
    'gpu1:65536',
    'gpu1:x',
    'gpu1:',
    '-oProxyCommand=x',
    'a b',
    'ssh://gpu1/path',
    '[::1]:',
    'x@-gpu1',
    'gpu1\n',
    '-l@gpu1',
  ])('%j is refused with the expected form', (text) => {
    expect(() => resolve(text)).toThrow(
      expect.objectContaining({code: 'USAGE', hint: expect.stringContaining('user@host:port')}),
    )
  })

  test('is shown as user, host and port, IPv6 in brackets', () => {
    expect(resolve('root@2001:db8::1').label).toBe('root@[2001:db8::1]:22')
  })
})

describe('~/.ssh/config', () => {
  test('gives name, port, user and key of an alias', () => {
    const target = resolve(
      'gpu1',
      'Host gpu*\n hostname=10.0.0.9\n Port 2200\n User root\n IdentityFile ~/.ssh/rented',
    )
    expect(target).toMatchObject({
      host: '10.0.0.9',
      label: 'root@10.0.0.9:2200',
      port: 2200,
      user: 'root',
    })
    expect(target.identities).toMatchObject({explicit: true, files: ['/home/me/.ssh/rented']})
  })

  test('is overruled by what was typed', () => {
    expect(resolve('me@gpu1:1', 'Host gpu1\n Port 2\n User other')).toMatchObject({
      port: 1,
      user: 'me',
    })
  })

  test('takes the first value of several, and Match by host and user', () => {
    const text = 'Match host gpu1 user root\n Port 1\nHost *\n Port 2'
    expect(resolve('root@gpu1', text).port).toBe(1)
    expect(resolve('me@gpu1', text).port).toBe(2)
  })

  test('names the known_hosts files, the system files come on top', () => {
    const {knownHosts} = resolve('gpu1', 'UserKnownHostsFile ~/a "~/b c" ${HOME}/d')
    expect(knownHosts.user).toEqual(['/home/me/a', '/home/me/b c', '/home/me/d'])
    expect(knownHosts.system).toContain('/etc/ssh/ssh_known_hosts')
  })

  test('files a key under host and port, or under HostKeyAlias', () => {
    expect(resolve('GPU1').keyName).toBe('gpu1')
    expect(resolve('gpu1:2222').keyName).toBe('[gpu1]:2222')
    expect(resolve('gpu1:2222', 'HostKeyAlias Mine').keyName).toBe('mine')
  })

  test('expands tokens in names and paths', () => {
    const target = resolve('root@gpu1', 'HostName %h.example.com\nIdentityFile %d/.ssh/%r@%h')
    expect(target.host).toBe('gpu1.example.com')
    expect(target.identities.files).toEqual(['/home/me/.ssh/root@gpu1.example.com'])
  })

  test('takes the agent from the environment, another from IdentityAgent, none if told so', () => {
    expect(resolve('gpu1').identities.agentSocket).toBe('/run/agent')
    expect(resolve('gpu1', 'IdentityAgent ~/other').identities.agentSocket).toBe('/home/me/other')
    expect(resolve('gpu1', 'IdentityAgent $MINE').identities.agentSocket).toBe('/run/mine')
    expect(resolve('gpu1', 'IdentityAgent none').identities.agentSocket).toBeUndefined()
  })

  test('without keys leaves the usual ones', () => {
    expect(resolve('gpu1').identities).toMatchObject({explicit: false, only: false})
    expect(resolve('gpu1').identities.files).toContain('/home/me/.ssh/id_ed25519')
  })

  test('with a pattern of a thousand stars is matched like one of one', () => {
    const text = `\nHost ${'*'.repeat(1000)}z\n  Port 2022\nHost ${'*'.repeat(1000)}1\n  Port 2122`
    expect(resolve('gpu1', text).port).toBe(2122)
  })

  test.each([
    ['Port many', 'Port many is not a port'],
    ['IdentityFile %q', '%q'],
    ['IdentityFile %q\u001B[2J', String.raw`%q\u{1b}[2J`],
    [`\nHost ${'a*'.repeat(9)}\n  Port 22`, 'more than 8 stars'],
  ])('with %s is refused', (text, message) => {
    expect(() => resolve('gpu1', text)).toThrow(
      expect.objectContaining({code: 'CONFIG', message: expect.stringContaining(message)}),
    )
  })

  test.each([
    ['ProxyCommand nc %h %p', 'ProxyCommand'],
    ['LocalCommand touch /tmp/x', 'LocalCommand'],
    ['KnownHostsCommand /bin/true', 'KnownHostsCommand'],
    ['StrictHostKeyChecking no', 'StrictHostKeyChecking no'],
    ['CertificateFile ~/c', 'CertificateFile'],
    ['Match exec "true"\n Port 1', 'Match exec'],
  ])('with %s gives a notice and no effect', (text, said) => {
    const notices: string[] = []
    const target = resolveTarget('gpu1', {...context(text), notice: (one) => notices.push(one)})
    expect(notices).toEqual([expect.stringContaining(said)])
    expect(target).toMatchObject({port: 22})
  })

  test('a strict or absent setting gives no notice', () => {
    const refuse = (text: string) => {
      throw new Error(text)
    }
    const text = 'ProxyCommand none\nStrictHostKeyChecking yes'
    expect(resolveTarget('gpu1', {...context(text), notice: refuse})).toBeDefined()
  })
})

describe('keys named for this run', () => {
  const withKey = (config: string) => {
    const target = resolveTarget('gpu1', {...context(config), given: ['/keys/a']})
    if (target.kind !== 'ssh') throw new Error('expected an SSH target')
    return target
  }

  test('come before those of the file', () => {
    const {identities} = withKey('Host gpu1\n IdentityFile ~/.ssh/b')
    expect(identities).toMatchObject({explicit: true, files: ['/keys/a', '/home/me/.ssh/b']})
  })

  test('take the place of the usual ones', () => {
    expect(withKey('').identities).toMatchObject({explicit: true, files: ['/keys/a']})
  })

  test('are not offered to jump hosts', () => {
    const [hop] = withKey('Host gpu1\n ProxyJump jump').jumps
    expect(hop?.identities.files).not.toContain('/keys/a')
  })
})

describe('ProxyJump', () => {
  test('lists the hops in order, each with its own settings', () => {
    const target = resolve(
      'gpu1',
      'Host gpu1\n ProxyJump a@jump1:2201,jump2\nHost jump2\n User b\n HostName 10.0.0.2',
    )
    expect(target.jumps.map((hop) => hop.label)).toEqual(['a@jump1:2201', 'b@10.0.0.2:22'])
    expect(target.jumps[1]?.keyName).toBe('10.0.0.2')
  })

  test("follows the first hop's own ProxyJump", () => {
    const target = resolve('gpu1', 'Host gpu1\n ProxyJump inner\nHost inner\n ProxyJump outer')
    expect(target.jumps.map((hop) => hop.host)).toEqual(['outer', 'inner'])
  })

  test('none means none', () => {
    expect(resolve('gpu1', 'ProxyJump none').jumps).toEqual([])
  })

  test('in a circle is refused', () => {
    const text = 'Host gpu1\n ProxyJump gpu2\nHost gpu2\n ProxyJump gpu1'
    expect(() => resolve('gpu1', text)).toThrow(expect.objectContaining({code: 'CONFIG'}))
  })
})

function resolve(text: string, config = ''): SshTarget {
  const target = resolveTarget(text, context(config))
  if (target.kind !== 'ssh') throw new Error('expected an SSH target')
  return target
}

function context(config: string) {
  return {
    config: parseSshConfig(config),
    env: {HOME: '/home/me', MINE: '/run/mine', SSH_AUTH_SOCK: '/run/agent', USER: 'me'},
    home: '/home/me',
    notice: () => {},
  }
}
