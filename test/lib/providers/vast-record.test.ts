import {describe, expect, test} from '@jest/globals'
import {vastEndpoints} from '../../../src/lib/providers/vast-endpoints.js'
import {parseVastRecord, vastInstance} from '../../../src/lib/providers/vast-record.js'

const read = (fields: object) => vastInstance(parseVastRecord({id: 5, ...fields}))
const ALL_STOPPED = {cur_state: 'stopped', intended_status: 'stopped', next_state: 'stopped'}

describe('phases', () => {
  test.each<[object, string]>([
    [{}, 'provisioning'],
    [{actual_status: null, intended_status: 'running'}, 'provisioning'],
    [{actual_status: 'created'}, 'starting'],
    [{actual_status: 'loading', intended_status: 'running'}, 'starting'],
    [{actual_status: 'rebooting'}, 'starting'],
    [{actual_status: 'restarting'}, 'starting'],
    [{actual_status: 'recycling'}, 'starting'],
    [{actual_status: 'running'}, 'running'],
    [{actual_status: 'running', status_msg: 'Error: none left'}, 'running'],
    [{actual_status: 'stopped'}, 'stopped'],
    [{actual_status: 'stopped', ...ALL_STOPPED}, 'stopped'],
    [{actual_status: 'stopped', ...ALL_STOPPED, is_bid: true}, 'interrupted'],
    [{actual_status: null, ...ALL_STOPPED, is_bid: true}, 'interrupted'],
    [{actual_status: 'exited', ...ALL_STOPPED}, 'stopped'],
    [{actual_status: 'stopped', intended_status: 'running'}, 'starting'],
    [{actual_status: 'frozen'}, 'stopped'],
    [{actual_status: 'exited'}, 'failed'],
    [{actual_status: 'unknown'}, 'unreachable'],
    [{actual_status: 'offline'}, 'unreachable'],
    [{actual_status: 'levitating'}, 'unknown'],
    [{actual_status: ' Running\n'}, 'running'],
    [{actual_status: 7}, 'provisioning'],
  ])('%j is %s (15, 25)', (fields, phase) => {
    expect(read(fields).phase).toBe(phase)
  })

  test.each<[object, string]>([
    [{actual_status: 'loading', status_msg: 'manifest for x:y not found'}, '23'],
    [{actual_status: 'loading', intended_status: 'stopped'}, '23'],
    [{actual_status: 'created', status_msg: 'OCI runtime create failed: runc'}, '24'],
    [{actual_status: null, status_msg: 'Error response from daemon'}, '24'],
    [{actual_status: 'loading', status_msg: 'permission denied'}, '24'],
  ])('%j has failed to boot (%s)', (fields) => {
    expect(read(fields).phase).toBe('failed')
  })

  test('the name of an image is no message', () => {
    const image_uuid = 'me/error-failed:1'
    const status_msg = `Pulling ${image_uuid}`
    expect(read({actual_status: 'loading', image_uuid, status_msg}).phase).toBe('starting')
  })
})

describe('prices', () => {
  const prices = {dph_total: 0.4, storage_cost: 0.15, disk_space: 720}

  test('a frozen box still pays for its GPU', () => {
    expect(read({...prices, actual_status: 'frozen'}).hourly).toBe(0.4)
  })

  test('a stopped one for its disk', () => {
    expect(read({...prices, actual_status: 'stopped'}).hourly).toBeCloseTo(0.15, 12)
  })

  test('what is not told is not made up', () => {
    expect(read({actual_status: 'stopped', dph_total: 0.4}).hourly).toBeUndefined()
    expect(read({actual_status: 'running', dph_total: 'much'}).hourly).toBeUndefined()
  })
})

describe('untrusted fields (9, 15)', () => {
  test('secrets and what nobody knows go no further', () => {
    const row = {
      instance_api_key: 'secret-one',
      jupyter_token: 'secret-two',
      extra_env: [
        ['TOKEN', 'secret-three'],
        ['-p 70001:70001', '1'],
        ['-p 53:53/udp', '1'],
      ],
      new_field: {deep: 'secret-four'},
    }
    const instance = read(row)
    expect(JSON.stringify([instance, parseVastRecord({id: 5, ...row})])).not.toContain('secret')
    expect(instance.spec).toMatchObject({
      envNames: ['TOKEN'],
      ports: ['70001/tcp', '53/udp'],
    })
  })

  test('variables may come as an object', () => {
    expect(read({extra_env: {A: '1', '-p 80:80': '1'}}).spec).toMatchObject({
      envNames: ['A'],
      ports: ['80/tcp'],
    })
  })

  test('fields of the wrong type hide no instance', () => {
    const odd = Object.fromEntries(
      Object.keys(parseVastRecord({id: 5}))
        .filter((name) => name !== 'id')
        .map((name) => [name, name.length % 2 === 0 ? {a: [1]} : [true, null]]),
    )
    expect(read(odd)).toMatchObject({id: '5', phase: 'provisioning', endpoints: []})
  })

  test.each([undefined, null, 'x', [], {}, {id: '5'}, {id: 0}, {id: 1.5}, {id: -3}])(
    '%j is no record',
    (value) => {
      expect(() => parseVastRecord(value)).toThrow()
    },
  )

  test.each<[unknown, readonly string[]]>([
    [null, []],
    [{}, []],
    [[], []],
    [{volume_id: 9, mount_path: '/data'}, ['9 at /data']],
    [
      [{label: 'sets'}, {size: 3}],
      ['sets', 'unnamed volume'],
    ],
    ['V.12', ['"V.12"']],
  ])('volumes %j are named %j', (volume_info, names) => {
    expect(read({volume_info}).volumes).toEqual(names)
  })
})

describe('ways in', () => {
  const ssh = {ssh_host: 'ssh4.vast.ai', ssh_port: 20_005}
  const open = {
    public_ipaddr: ' 203.0.113.7\n',
    ports: {'22/tcp': [{HostIp: '0.0.0.0', HostPort: '40713'}]},
  }
  const ways = (fields: object) =>
    vastEndpoints(parseVastRecord({id: 5, ...fields})).map(
      ({host, port, via}) => `${via} ${host}:${port}`,
    )

  test('the machine itself comes before the proxy, each with its own port (27)', () => {
    expect(ways({...ssh, ...open})).toEqual([
      'direct 203.0.113.7:40713',
      'proxy ssh4.vast.ai:20005',
    ])
  })

  test.each([
    undefined,
    null,
    {},
    [],
    {'22/tcp': []},
    {'22/tcp': null},
    {'8080/tcp': [{HostPort: '1'}]},
  ])('with ports %j there is the proxy alone (26)', (ports) => {
    expect(ways({...ssh, public_ipaddr: '203.0.113.7', ports})).toEqual([
      'proxy ssh4.vast.ai:20005',
    ])
  })

  test('Jupyter images may answer beside the port that is told (27)', () => {
    expect(ways({...ssh, image_runtype: 'jupyter ssh_direc ssh_proxy'})).toEqual([
      'proxy ssh4.vast.ai:20005',
      'proxy ssh4.vast.ai:20006',
    ])
  })

  test.each([
    {ssh_host: '-oProxyCommand=x', ssh_port: 22},
    {ssh_host: 'a b', ssh_port: 22},
    {ssh_host: 'x', ssh_port: 0},
    {ssh_host: 'x', ssh_port: 65_536},
    {ssh_host: 'x', ssh_port: 22.5},
    {ssh_host: 'x'},
    {public_ipaddr: '1.2.3.4', ports: {'22/tcp': [{HostPort: '22; rm'}]}},
    {public_ipaddr: '', ports: open.ports},
  ])('%j leads nowhere', (fields) => {
    expect(ways(fields)).toEqual([])
  })
})
