interface Column {
  readonly title: string
  readonly align?: 'right'
}

/** Columns as wide as their widest cell, two blanks between; for a terminal and for `cut` alike. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const all = [columns.map((column) => column.title), ...rows]
  const widths = columns.map((_, index) => Math.max(...all.map((row) => (row[index] ?? '').length)))
  return all
    .map((row) =>
      row
        .slice(0, columns.length)
        .map((cell, index) =>
          columns[index]?.align === 'right'
            ? cell.padStart(widths[index] ?? 0)
            : cell.padEnd(widths[index] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
