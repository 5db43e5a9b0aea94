/** Of `npm run robustness -- --seed N --minutes M`; a test without them is short, and has a seed of its own each time. */
export function seed(): number {
  chosen ??= Number(process.env['DUMONT_ROBUSTNESS_SEED'] ?? Math.floor(Math.random() * 1e9))
  return chosen
}

export function minutes(): number {
  return Number(process.env['DUMONT_ROBUSTNESS_MINUTES'] ?? 0)
}

let chosen: number | undefined
