import {describe, expect, test} from '@jest/globals'
import {isSameGpu} from '../../../src/lib/providers/gpu-name.js'
import {isInRegion, offerMismatch, runsCuda} from '../../../src/lib/providers/offer-match.js'
import type {Offer, SearchOptions, Spec} from '../../../src/lib/providers/provider.js'
import {offerOf, specOf} from '../../support/offers.js'

describe('the name of a GPU', () => {
  test.each([
    ['RTX 4090', 'NVIDIA GeForce RTX 4090'],
    ['RTX_4090', 'RTX 4090'],
    ['H100 SXM', 'NVIDIA H100 80GB HBM3'],
    ['H100 SXM', 'H100 (80 GB SXM5)'],
    ['H100 PCIE', 'NVIDIA H100 PCIe'],
    ['A100 SXM4', 'NVIDIA A100-SXM4-80GB'],
    ['A100 SXM4', 'A100 (40 GB SXM4)'],
    ['A10', 'A10 (24 GB PCIe)'],
    ['RTX 6000Ada', 'NVIDIA RTX 6000 Ada Generation'],
    ['Tesla T4', 'T4'],
  ])('%s is the same as %s', (one, other) => {
    expect(isSameGpu(one, other)).toBe(true)
    expect(isSameGpu(other, one)).toBe(true)
  })

  test.each([
    ['RTX 4090', 'RTX 4090 D'],
    ['RTX 4090', 'RTX 3090'],
    ['RTX 3080', 'RTX 3080 Ti'],
    ['H100 SXM', 'NVIDIA H100 PCIe'],
    ['H100 SXM', 'NVIDIA H100 NVL'],
    ['H100 SXM', 'H200 SXM'],
    ['A100 SXM4', 'NVIDIA A100 80GB PCIe'],
    ['RTX A6000', 'RTX 6000 Ada Generation'],
    ['GH200', 'H200'],
    ['', ''],
    ['NVIDIA', 'GeForce'],
  ])('%s is another than %s', (one, other) => {
    expect(isSameGpu(one, other)).toBe(false)
    expect(isSameGpu(other, one)).toBe(false)
  })
})

describe('an offer', () => {
  const wanted = specOf({memoryMB: 64_000, cores: 8, cuda: '12.4', region: 'US'})
  const good: Partial<Spec> = {memoryMB: 64_000, cores: 8, cuda: '12.8', region: 'Texas, US'}
  const mismatch = (
    spec: Partial<Spec> = {},
    change: Partial<Offer> = {},
    options: SearchOptions = {},
  ) => offerMismatch(offerOf(change, {...good, ...spec}), wanted, options)

  test('that is what was asked for has nothing against it', () => {
    expect(mismatch()).toBeUndefined()
  })

  test('with more of everything but GPUs is as good', () => {
    expect(
      mismatch({diskGB: 2000, memoryMB: 512_000, cores: 64, gpuMemoryMB: 48_000, cuda: '13.0'}),
    ).toBeUndefined()
  })

  test('may have 2 % less memory, as hosts keep a little', () => {
    expect(mismatch({gpuMemoryMB: 24_100, memoryMB: 62_800})).toBeUndefined()
    expect(mismatch({gpuMemoryMB: 24_000})).toMatch(/MB of GPU memory/)
    expect(mismatch({memoryMB: 62_000})).toMatch(/MB of memory/)
  })

  test.each<[string, Partial<Spec>, RegExp]>([
    ['another GPU', {gpuName: 'RTX 3090'}, /RTX 3090, not RTX 4090/],
    ['no GPU', {gpuName: ''}, /no GPU/],
    ['more GPUs', {gpuCount: 2}, /2 GPUs, not 1/],
    ['fewer GPUs', {gpuCount: 0}, /0 GPUs, not 1/],
    ['a smaller disk', {diskGB: 99.9}, /GB of disk/],
    ['fewer cores', {cores: 7.5}, /cores/],
    ['an older CUDA', {cuda: '11.8'}, /CUDA 11.8/],
    ['another region', {region: 'Bulgaria, BG'}, /Bulgaria, BG/],
    ['another market', {market: {kind: 'spot', bid: 0.1}}, /spot/],
  ])('with %s is refused', (_, spec, reason) => {
    expect(mismatch(spec)).toMatch(reason)
  })

  test('without a region is refused when one was asked for', () => {
    const {region: _, ...rest} = good
    expect(offerMismatch(offerOf({}, rest), wanted)).toMatch(/unknown region/)
  })

  test('that costs more than allowed, or nothing that is a number, is refused', () => {
    expect(mismatch({}, {hourly: 0.41}, {maxHourly: 0.4})).toMatch(/costs 0.41/)
    expect(mismatch({}, {hourly: 0.4}, {maxHourly: 0.4})).toBeUndefined()
    expect(mismatch({}, {hourly: Number.NaN}, {maxHourly: 0.4})).toMatch(/no price/)
    expect(mismatch({}, {hourly: -1})).toMatch(/no price/)
  })

  test('on a machine to avoid is refused', () => {
    expect(mismatch({}, {machine: 'm9'}, {avoidMachines: ['m9']})).toMatch(/avoid/)
  })

  test('is not refused for what its vendor does not tell', () => {
    const {cuda: _cuda, memoryMB: _memory, cores: _cores, ...rest} = good
    expect(offerMismatch(offerOf({}, {...rest, gpuMemoryMB: 0}), wanted)).toBeUndefined()
  })
})

describe('a host', () => {
  test.each([
    ['12.4', '12.8', true],
    ['12.8', '12.1', true],
    ['13.0', '12.8', true],
    ['11.8', '12.0', false],
    [undefined, '12.0', true],
    ['odd', '12.0', true],
  ])('with CUDA %s runs programs for %s: %s', (has, needs, runs) => {
    expect(runsCuda(has, needs)).toBe(runs)
  })

  test.each([
    ['US-TX-3', 'US', true],
    ['us-east-1', 'us-east-1', true],
    ['Texas, US', 'us', true],
    ['COMMUNITY/CA-MTL-1', 'COMMUNITY', true],
    ['RUS-1', 'US', false],
    ['US', 'US-TX-3', false],
    [undefined, 'US', false],
  ])('in %s is in %s: %s', (region, wanted, is) => {
    expect(isInRegion(region, wanted)).toBe(is)
  })
})
