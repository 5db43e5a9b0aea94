import {ProviderError} from './provider-error.js'
import type {CreateRequest} from './provider.js'

const WHERE = {provider: 'vast', operation: 'create'}

/** The vendor's limits, checked here because some are answered by silently cutting or by a machine that never boots. */
const MOST = {image: 1024, label: 256, onstart: 4096, value: 256, env: 32_768}
const LEAST_DISK_GB = 8
/** Comes with the way of running. */
const SSH = '22/tcp'
const PORT = /^(\d{1,5})\/(tcp|udp)$/u

/** The body that rents: SSH straight to the machine, and nothing at all if it cannot run now. */
export function vastCreateBody(request: CreateRequest): Record<string, unknown> {
  check(request)
  const {env, label, onstart, spec} = request
  const ports = spec.ports
    .filter((port) => port !== SSH)
    .map((port) => [mapping(port), '1'] as const)
  return {
    client_id: 'me',
    ...(spec.image !== undefined && {image: spec.image}),
    ...(spec.templateId !== undefined && {template_hash_id: spec.templateId}),
    env: {...Object.fromEntries(ports), ...env},
    disk: spec.diskGB,
    label,
    runtype: 'ssh_direct',
    // Otherwise a machine that was taken becomes a stopped contract whose disk is billed.
    cancel_unavail: true,
    target_state: 'running',
    ...(onstart !== undefined && {onstart}),
    // Without a price a spot offer is rented on demand, without a word.
    ...(spec.market.kind === 'spot' && {price: spec.market.bid}),
  }
}

function mapping(port: string): string {
  return port.replace(
    PORT,
    (_, number: string, protocol: string) =>
      `-p ${number}:${number}${protocol === 'udp' ? '/udp' : ''}`,
  )
}

function check({env, label, onstart = '', spec}: CreateRequest): void {
  const names = Object.keys(env)
  const values = Object.values(env)
  const size = [...names, ...values].reduce((sum, text) => sum + text.length, 0)
  require(spec.image || spec.templateId, 'an image or a template is needed')
  require((spec.image ?? '').length <= MOST.image, `the image's name is longer than ${MOST.image}`)
  require(label.length > 0 && label.length <= MOST.label, `a label has 1 to ${MOST.label} letters`)
  require(onstart.length <= MOST.onstart, `the start script is longer than ${MOST.onstart}`)
  require(spec.diskGB >= LEAST_DISK_GB, `a disk has at least ${LEAST_DISK_GB} GB`)
  require(names.every((name) => /^[A-Za-z_]\w*$/u.test(name)), 'a variable has no proper name')
  require(values.every(
    (value) => value.length <= MOST.value,
  ), `a variable's value is longer than ${MOST.value}`)
  require(size <= MOST.env, `all variables together are longer than ${MOST.env}`)
  require(spec.ports.every((port) => PORT.test(port)), 'a port is not written as 8080/tcp')
  if (spec.market.kind === 'spot')
    require(spec.market.bid >= 0.001 &&
      spec.market.bid <= 128, 'a bid is from 0.001 to 128 US$ an hour')
}

function require(holds: unknown, otherwise: string): void {
  if (!holds) throw new ProviderError('INVALID', WHERE, otherwise)
}
