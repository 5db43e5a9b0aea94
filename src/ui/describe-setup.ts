import type {SetupReport} from '../lib/setup/set-up-store.js'

/** What `dumont init` found and did, and what to do next. */
export function describeSetup(report: SetupReport): string {
  const {config, endpoint, isNew, notes, pin, profile, protection, repository} = report
  const {skewSeconds, store} = report
  const next = `dumont snapshot create --host root@HOST /workspace${profile === undefined ? '' : ` --profile ${profile}`}`
  return [
    `store          ${store}${endpoint === undefined ? '' : ` at ${new URL(endpoint).host}`}`,
    `repository     ${repository} (${isNew ? 'new' : 'was there already'})`,
    `protection     ${PROTECTIONS[protection ?? 'none']}`,
    'write-once     yes',
    `upload pins    ${pin === 'crc32' ? 'CRC-32' : 'MD5'}`,
    `clock          ${Math.abs(skewSeconds) <= 1 ? 'agrees' : `${Math.abs(skewSeconds)} s apart`}`,
    `written        ${config}${profile === undefined ? '' : `, profile ${profile}`} (mode 600)`,
    ...notes.map((note) => `note           ${note}`),
    `next           ${next}`,
  ].join('\n')
}

const PROTECTIONS = {
  authenticated: 'nothing is encrypted; manifests and records are proven ours',
  none: 'none: this store was made without keys',
  sealed: 'everything is encrypted; the key is on this machine',
} as const
