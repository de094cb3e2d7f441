export interface LogicalLine {
  /** Where it begins; counts from 1. */
  readonly line: number
  readonly text: string
}

/** Lines as Postfix's tables have them: one that begins with a blank goes on with the one before; empty ones and `#` comments are none. */
export function logicalLines(text: string): readonly LogicalLine[] {
  const lines: { line: number; text: string }[] = []
  for (const [index, raw] of text
    .replace(/^\u{FEFF}/u, '')
    .split('\n')
    .entries()) {
    const words = raw.trim()
    if (words === '' || words.startsWith('#')) continue
    const last = lines.at(-1)
    if (/^\s/.test(raw) && last !== undefined) last.text += ` ${words}`
    else lines.push({ line: index + 1, text: words })
  }
  return lines
}
