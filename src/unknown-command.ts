import {DumontError} from './lib/errors.js'
import {nearestWord} from './lib/settings/nearest-word.js'

/**
 * What to say of words that are no command. `typed` and `known` are words with colons between them, as oclif has them:
 * `snapshot:lst`.
 */
export function unknownCommand(typed: string, known: readonly string[]): DumontError {
  const whole = known.find((id) => typed.startsWith(`${id}:`))
  if (whole !== undefined) {
    const command = spoken(whole)
    const [more = ''] = typed.slice(whole.length + 1).split(':')
    return new DumontError('USAGE', `\`${command}\` takes no arguments, but there is ${more}`, {
      hint: `see \`${command} --help\``,
    })
  }
  const [first = '', second] = typed.split(':')
  const isTopic = known.some((id) => id.startsWith(`${first}:`))
  const words = isTopic && second !== undefined ? `${first} ${second}` : first
  const near = nearest(isTopic && second !== undefined ? `${first}:${second}` : first, known)
  return new DumontError('USAGE', `there is no command \`dumont ${words}\``, {
    hint: near === undefined ? 'see `dumont --help`' : `\`${spoken(near)}\``,
  })
}

/** Also when the topic was left out: `dumont restore` is meant as `dumont snapshot restore`. */
function nearest(typed: string, known: readonly string[]): string | undefined {
  const [first = '', second] = typed.split(':')
  const direct = nearestWord(second === undefined ? first : typed, [...known, ...topicsOf(known)])
  if (direct !== undefined) return direct
  const last = nearestWord(second ?? first, known.map(lastWord))
  return known.find((id) => lastWord(id) === last)
}

function topicsOf(known: readonly string[]): readonly string[] {
  return [...new Set(known.filter((id) => id.includes(':')).map((id) => id.split(':')[0] ?? id))]
}

function lastWord(id: string): string {
  return id.split(':').at(-1) ?? id
}

function spoken(id: string): string {
  return `dumont ${id.replaceAll(':', ' ')}`
}
