import type {Manifest} from '../format/manifest.js'
import {untrusted} from '../untrusted.js'
import type {Check, ReceiptRequest, Refusal} from './receipt-terms.js'

/** What the TypeScript and Python decoders of every release can undo without a GPU. */
const PORTABLE = new Set(['none', 'ordered', 'planes2', 'planes2of4', 'planes4', 'xor', 'zstd'])
/** Vendors whose instances are containers: without the image's name the next one cannot be like this one. */
const CONTAINERS = new Set(['runpod', 'vast'])

/** What can be known today about waking it: decoders, image, and that the account still answers. */
export async function proveWayBack(
  {decoders, nvidia}: Pick<Manifest, 'decoders' | 'nvidia'>,
  {
    acceptGpuOnly,
    account,
    instance,
    provider,
  }: Pick<ReceiptRequest, 'acceptGpuOnly' | 'account' | 'instance' | 'provider'>,
  signal?: AbortSignal,
): Promise<{readonly checks: readonly Check[]; readonly refusals: readonly Refusal[]}> {
  const refusals: Refusal[] = []
  const refuse = (message: string, remedy: string) =>
    refusals.push({message, remedy, rule: 'way-back'})
  const special = decoders.filter((name) => !PORTABLE.has(name))
  if ((special.length > 0 || nvidia !== null) && !acceptGpuOnly)
    refuse(
      `the snapshot can only be read with an NVIDIA GPU (${untrusted(special.join(', '), 100)})`,
      'make one of it that restores anywhere (dumont snapshot transcode; chunks of earlier snapshots stay as they are), or say --codec ans --accept-gpu-only',
    )
  const {image, templateId} = instance.spec
  if (CONTAINERS.has(provider.name) && image === undefined && templateId === undefined)
    refuse(
      'the vendor does not say which image the instance was made of',
      'look it up and wake with --image; hibernate without --destroy until then',
    )
  const {account: now} = await provider.whoami(signal)
  if (now !== account)
    refuse(
      'the key now belongs to another account',
      'use the key of the account that rents the instance',
    )
  const figures = {decoders: decoders.length, envNames: instance.spec.envNames.length}
  const what = 'portable decoders, a known image, and a key that the vendor accepts'
  const checks: readonly Check[] = [{by: 'vendor', figures, rule: 'way-back', what}]
  return {checks: refusals.length === 0 ? checks : [], refusals}
}
