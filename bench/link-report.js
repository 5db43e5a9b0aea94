import {markdownTable} from './report.js'

/** Medians of the rounds, a line for each link and step. */
export function rateTable(name, figures, label) {
  const groups = grouped(figures, label)
  const head = [name, 'dumont, MB/s', 'plain, MB/s', 'transfer, of plain', 'whole command, of plain', 'tail, s: dumont, plain'] // prettier-ignore
  return markdownTable(head, [...groups], ([title, all]) => {
    const of = (pick) => median(all.map(pick))
    return [
      title,
      (of(({dumont}) => dumont.rate) / 1e6).toFixed(2),
      (of(({plain}) => plain.rate) / 1e6).toFixed(2),
      of(({dumont, plain}) => dumont.rate / plain.rate).toFixed(3),
      of(({dumont, plain}) => plain.wall / dumont.wall).toFixed(3),
      `${of(({dumont}) => dumont.tail).toFixed(2)}, ${of(({plain}) => plain.tail).toFixed(2)}`,
    ]
  })
}

function grouped(figures, label) {
  const groups = new Map()
  for (const each of figures) {
    const title = `${label(each)}, ${each.step}`
    groups.set(title, [...(groups.get(title) ?? []), each])
  }
  return groups
}

/** What stalls cost. */
export function stallTable(figures) {
  const head = ['stall', 'dumont, s', 'plain, s', 'rate is back after, s: dumont, plain']
  return markdownTable(head, figures, ({dumont, kind, plain, step}) => [
    `${step}: ${kind}`,
    seconds(dumont.wall),
    seconds(plain?.wall),
    `${seconds(dumont.recovery)}, ${seconds(plain?.recovery)}`,
  ])
}

function seconds(value) {
  return value === undefined ? '–' : value.toFixed(2)
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
}
