import {describe, expect, test} from '@jest/globals'
import {parseInstanceAddress} from '../../../src/lib/providers/instance-address.js'

describe('the address of an instance', () => {
  test.each([
    ['12345', {provider: 'vast', id: '12345'}],
    ['vast:12345', {provider: 'vast', id: '12345'}],
    ['runpod:7h9k2m4n6p', {provider: 'runpod', id: '7h9k2m4n6p'}],
    [
      'lambda:0920582c7ff041399e34823a0be62549',
      {provider: 'lambda', id: '0920582c7ff041399e34823a0be62549'},
    ],
    ['ssh:lab-3.left', {provider: 'ssh', id: 'lab-3.left'}],
  ] as const)('%s is read', (text, address) => {
    expect(parseInstanceAddress(text)).toEqual(address)
  })

  test('without a provider belongs to the one of the settings', () => {
    expect(parseInstanceAddress('7h9k2m4n6p', 'runpod')).toEqual({
      provider: 'runpod',
      id: '7h9k2m4n6p',
    })
    expect(parseInstanceAddress('lab', 'ssh')).toEqual({provider: 'ssh', id: 'lab'})
    expect(parseInstanceAddress('vast:12345', 'ssh')).toEqual({provider: 'vast', id: '12345'})
  })

  test.each([
    '',
    ':',
    'vast:',
    'vast:0',
    'vast:12a',
    'vast:-1',
    '7h9k2m4n6p',
    'aws:i-1',
    'runpod:../pods',
    'runpod:a/b?c',
    'lambda:ABC',
    'ssh:',
    'ssh:-x',
    'ssh:a b',
    'ssh:a\u0000',
    '12345 ',
    '20261123T140200Z-k3f9qz',
    'latest:lab',
    `runpod:${'a'.repeat(65)}`,
  ])('%j is none', (text) => {
    expect(parseInstanceAddress(text)).toBeUndefined()
  })
})
