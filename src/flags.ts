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
  'key-file': Flags.string({
    helpGroup: 'STORE',
    helpValue: 'FILE',
    summary: 'key to the store [default: what this machine keeps] (DUMONT_KEY_FILE)',
  }),
}

/** Of commands that may be the first to use a store. */
export const newStoreFlags = {
  encryption: Flags.boolean({
    allowNo: true,
    helpGroup: 'STORE',
    summary: 'encrypt everything in a new store [default: yes] (DUMONT_ENCRYPTION)',
  }),
  'recovery-file': Flags.string({
    helpGroup: 'STORE',
    helpValue: 'FILE',
    summary: 'where to put the recovery text of a new store, instead of asking on the terminal',
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

/** How chunks get smaller. */
export const codecFlags = {
  codec: Flags.string({
    options: ['auto', 'ans', 'gzstd', 'zstd', 'none'],
    summary: 'how chunks are compressed; ans needs an NVIDIA GPU to come back [default: auto]',
  }),
  delta: Flags.string({
    options: ['auto', 'off'],
    summary: 'store tensors as differences from earlier checkpoints [default: auto]',
  }),
}

/** How much may be lost in the store and come back all the same. */
export const parityFlags = {
  parity: Flags.integer({
    helpValue: 'N',
    max: 4,
    min: 0,
    summary:
      'store parity, so that any N lost or damaged packs of a group come back [default: 0] (DUMONT_PARITY)',
  }),
}

/** Whether GPUs may be used. */
export const gpuFlags = {
  gpu: Flags.boolean({
    allowNo: true,
    helpGroup: 'TRANSFER',
    summary: 'let GPUs compress, with NVIDIA’s nvCOMP on the box [default: yes] (DUMONT_GPU)',
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

/** What of the workspace is saved, and how. */
export const savingFlags = {
  name: Flags.string({
    helpValue: 'LABEL',
    summary: 'label of the lineage [default: the one it has, else PROVIDER:ID]',
  }),
  path: Flags.string({
    helpValue: 'PATH',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'a directory to save, absolute [default: /workspace]',
  }),
  exclude: Flags.string({
    helpValue: 'PATTERN',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'leave out what matches, as in .gitignore; then it needs --discard too',
  }),
  'cross-mounts': Flags.boolean({
    default: false,
    summary: 'save what is mounted inside the paths too',
  }),
}

const UNITS: Readonly<Record<string, number>> = {s: 1000, m: 60_000, h: 3_600_000}

/** `90s`, `10m` or `2h` in milliseconds; USAGE for anything else. */
export function parseDuration(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smh])$/.exec(text.trim()) ?? []
  const milliseconds = Number(number) * (UNITS[unit] ?? Number.NaN)
  if (Number.isSafeInteger(milliseconds)) return milliseconds
  throw new DumontError('USAGE', `--${flag} ${text} is no duration`, {hint: 'say 90s, 10m or 2h'})
}

/** An amount above zero, with or without a dollar sign; USAGE for anything else. */
export function parseAmount(flag: string, text: string): number {
  const amount = /^\$?\d{1,6}(?:\.\d+)?$/.test(text.trim())
    ? Number(text.trim().replace('$', ''))
    : 0
  if (amount > 0) return amount
  throw new DumontError('USAGE', `--${flag} ${text} is no amount`, {hint: 'say 0.45'})
}
