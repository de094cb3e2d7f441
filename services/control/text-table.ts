export interface Column {
  /** Absent in all columns: no heading line. */
  readonly title?: string
  readonly align?: 'left' | 'right'
}

/** Lines of aligned columns, two blanks apart. Nothing is cut: a column is as wide as its widest cell. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const heading = columns.some((column) => column.title !== undefined)
  const all = heading ? [columns.map((column) => column.title ?? ''), ...rows] : rows
  const widths = columns.map((_column, index) => Math.max(0, ...all.map((row) => textWidth(row[index] ?? ''))))
  return all.map((row) =>
    columns
      .map((column, index) => pad(row[index] ?? '', widths[index] ?? 0, column.align ?? 'left'))
      .join('  ')
      .trimEnd(),
  )
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, width - textWidth(text)))
  return align === 'right' ? blanks + text : text + blanks
}

/** Columns on a terminal: code points, without the escape sequences of colours. */
function textWidth(text: string): number {
  return Array.from(text.replaceAll(/\u001b\[\d+m/g, '')).length
}
