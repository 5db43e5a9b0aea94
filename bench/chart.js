const COLOURS = ['#1f6f8b', '#5fa8c0', '#b0562f', '#d49a6a', '#8a6d3b', '#6b7a3a', '#777777']
const FONT = 'font-family="Helvetica, Arial, sans-serif"'
const BAR = 16
const LABELS = 110
const WIDTH = 640

/**
 * Groups of horizontal bars as an SVG document; shorter is better. Each bar has a whisker from its lowest to its highest.
 *
 * @param {{title: string, unit: string, groups: {name: string, bars: {name: string, value: number, low: number, high:
 *   number}[]}[]}} chart
 */
export function barChart({groups, title, unit}) {
  const parts = []
  let y = 44
  for (const {bars, name} of groups) {
    parts.push(text({bold: true, text: name, x: 8, y: y + 4}))
    y += 12
    const most = Math.max(...bars.map(({high}) => high))
    for (const [index, bar] of bars.entries()) {
      parts.push(...row({bar, colour: COLOURS[index % COLOURS.length], most, unit, y}))
      y += BAR + 4
    }
    y += 18
  }
  return document(y, [text({bold: true, size: 15, text: title, x: 8, y: 22}), ...parts])
}

function row({bar, colour, most, unit, y}) {
  const scale = (value) => (value / most) * (WIDTH - LABELS - 90)
  const middle = y + BAR / 2
  const end = LABELS + scale(bar.high)
  return [
    text({anchor: 'end', text: bar.name, x: LABELS - 6, y: middle + 4}),
    `<rect x="${LABELS}" y="${y}" width="${scale(bar.value).toFixed(1)}" height="${BAR}" fill="${colour}"/>`,
    `<line x1="${(LABELS + scale(bar.low)).toFixed(1)}" x2="${end.toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#222"/>`,
    text({text: `${bar.value.toFixed(2)} ${unit}`, x: end + 6, y: middle + 4}),
  ]
}

/**
 * Lines over a logarithmic x axis, each series scaled by the same linear y axis that starts at zero.
 *
 * @param {{title: string, x: string, y: string, series: {name: string, points: [number, number][]}[]}} chart
 */
export function lineChart({series, title, x: xName, y: yName}) {
  const [left, right, top, bottom] = [64, WIDTH - 150, 44, 260]
  const points = series.flatMap((each) => each.points)
  const logs = points.map(([x]) => Math.log10(x))
  const [first, last] = [Math.min(...logs), Math.max(...logs)]
  const most = Math.max(...points.map(([, y]) => y)) * 1.1 || 1
  const place = ([x, y]) => [
    left + ((Math.log10(x) - first) / (last - first || 1)) * (right - left),
    bottom - (y / most) * (bottom - top),
  ]
  const axes = `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="#222"/>`
  const ticks = [...new Set(points.map(([x]) => x))].map((x) =>
    text({anchor: 'middle', text: x.toLocaleString('en'), x: place([x, 0])[0], y: bottom + 16}),
  )
  const heights = [0.25, 0.5, 0.75, 1].map((part) =>
    text({
      anchor: 'end',
      text: short(most * part),
      x: left - 6,
      y: place([10 ** first, most * part])[1],
    }),
  )
  const lines = series.flatMap(({name, points: own}, index) => {
    const at = own.map((point) => place(point).map((value) => value.toFixed(1)))
    const colour = COLOURS[index % COLOURS.length]
    const [, lastY] = at.at(-1)
    return [
      `<polyline points="${at.map((each) => each.join(',')).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...at.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`),
      text({text: name, x: right + 8, y: Number(lastY) + 4}),
    ]
  })
  const names = [
    text({bold: true, size: 15, text: title, x: 8, y: 22}),
    text({text: yName, x: 8, y: top - 6}),
    text({anchor: 'middle', text: xName, x: (left + right) / 2, y: bottom + 34}),
  ]
  return document(bottom + 48, [...names, axes, ...ticks, ...heights, ...lines])
}

function short(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}

function text({anchor = 'start', bold = false, size = 12, text: content, x, y}) {
  const weight = bold ? ' font-weight="bold"' : ''
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${FONT} font-size="${size}" text-anchor="${anchor}"${weight}>${safe}</text>`
}

function document(height, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}
