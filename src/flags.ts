import {Args, Flags} from '@oclif/core'
import {DumontError} from './lib/errors.js'

/** Which snapshot is meant. */
export const snapshotArgs = {
  id: Args.string({
    description: 'the beginning of an id, latest, or latest:LABEL',
    required: true,
  }),
}

/** Where snapshots are kept. */
export const storeFlags = {
  store: Flags.string({
    helpGroup: 'STORE',
    helpValue: 'URL',
    summary: 'file:///path or s3://bucket/prefix (DUMONT_STORE)',
  }),
  endpoint: Flags.string({
    helpGroup: 'STORE',
    helpValue: 'URL',
    summary: 'address of an S3-compatible service (DUMONT_ENDPOINT)',
  }),
  profile: Flags.string({
    helpGroup: 'STORE',
    helpValue: 'NAME',
    summary: 'named profile of the config file (DUMONT_PROFILE)',
  }),
}

/** How a box is reached. */
export const sshFlags = {
  'accept-new-host-key': Flags.boolean({
    default: false,
    helpGroup: 'SSH',
    summary: 'trust and remember the key of a host never seen before',
  }),
  identity: Flags.string({
    helpGroup: 'SSH',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'private key to try first',
  }),
}

/** How much of the box a transfer may use. */
export const transferFlags = {
  parts: Flags.integer({
    helpGroup: 'TRANSFER',
    helpValue: 'N',
    max: 256,
    min: 1,
    summary: 'parallel streams to the store [default: 32]',
  }),
  memory: Flags.string({
    helpGroup: 'TRANSFER',
    helpValue: 'SIZE',
    summary:
      'ceiling for all worker processes, e.g. 1GiB [default: a quarter of the box, at most 1GiB]',
  }),
}

/** `5%` or `0.05` as a number above 0 up to 1; USAGE for anything else. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim())
  const share = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1)
  if (share > 0 && share <= 1) return share
  throw new DumontError('USAGE', `--sample ${text} is no share`, {hint: 'say 5% or 0.05'})
}
