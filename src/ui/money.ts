/** US$ with as many digits as small prices need: `$0.412`, `$12.30`. */
export function dollars(amount: number): string {
  const digits = Math.abs(amount) < 1 ? 3 : 2
  return `${amount < 0 ? '-' : ''}$${Math.abs(amount).toFixed(digits)}`
}

/** `$0.412/h`; where the vendor does not tell: `an unknown price`. */
export function hourly(amount: number | undefined): string {
  return amount === undefined ? 'an unknown price' : `${dollars(amount)}/h`
}
