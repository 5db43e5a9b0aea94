const VENDOR_WORDS = /\b(?:nvidia|geforce|tesla|generation)\b/gu
const MEMORY = /\b\d+\s*(?:gb|gib)\b/gu
const FORM = /^(.*?)(sxm\d?|pcie|nvl)$/u

/**
 * Whether two vendors mean the same GPU, whatever they call it: `RTX 4090` and `NVIDIA GeForce RTX 4090`, `H100 SXM` and
 * `NVIDIA H100 80GB HBM3`. Memory is compared elsewhere; a form factor counts where both tell one.
 */
export function isSameGpu(one: string, other: string): boolean {
  const [first, second] = [parse(one), parse(other)]
  if (first.model === '' || first.model !== second.model) return false
  return first.form === undefined || second.form === undefined || first.form === second.form
}

function parse(name: string): {readonly model: string; readonly form: string | undefined} {
  const plain = name
    .toLowerCase()
    .replaceAll(VENDOR_WORDS, ' ')
    // Of the H100 only the SXM module has HBM3 in its name.
    .replaceAll(/\bh100\b(.*)\bhbm3\b/gu, 'h100$1sxm')
    .replaceAll(MEMORY, ' ')
    .replaceAll(/[^a-z0-9]/gu, '')
  const match = FORM.exec(plain)
  return match
    ? {model: match[1] ?? '', form: match[2]?.replace(/\d$/u, '')}
    : {model: plain, form: undefined}
}
