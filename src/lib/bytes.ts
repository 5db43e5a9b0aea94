const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  g: 2 ** 30,
  gb: 1e9,
  gib: 2 ** 30,
  k: 2 ** 10,
  kb: 1e3,
  kib: 2 ** 10,
  m: 2 ** 20,
  mb: 1e6,
  mib: 2 ** 20,
  t: 2 ** 40,
  tb: 1e12,
  tib: 2 ** 40,
}

/** Bytes of `512MiB`, `1.5GB`, `4096`; undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '-']
  if (match === null || unit === undefined) return undefined
  const bytes = Math.round(Number(match[1]) * unit)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Decimal units as providers bill them: `1.73 GB`, `412 kB`, `17 B`. */
export function formatBytes(bytes: number): string {
  const steps = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = Math.abs(bytes)
  let step = 0
  while (value >= 999.5 && step < steps.length - 1) {
    value /= 1000
    step += 1
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${bytes < 0 ? '-' : ''}${value.toFixed(digits)} ${steps[step]}`
}
