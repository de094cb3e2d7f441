/** Which of the two grammars a file is written in: section 4, last paragraph. */
export function grammarOf(text: string): { readonly grammar: 'old' | 'modern'; readonly line: number } {
  let hint: { readonly grammar: 'old' | 'modern'; readonly line: number } | undefined
  for (const [index, line] of logicalLines(text)) {
    const words = line.trim().split(/\s+/)
    const [first = ''] = words
    if (first === 'accept' || first === 'reject') return { grammar: 'old', line: index }
    if (first === 'match' || first === 'action') return { grammar: 'modern', line: index }
    if (/^(?:expire|bounce-warn|limit|max-message-size|max-mta-deferred|subaddressing-delimiter)$/.test(first)) {
      hint ??= { grammar: 'old', line: index }
    }
    if (first === 'pki' && words.includes('certificate')) hint ??= { grammar: 'old', line: index }
    if (/^(?:filter|smtp|bounce|srs|mta|mda|scheduler)$/.test(first)) hint ??= { grammar: 'modern', line: index }
  }
  return hint ?? { grammar: 'modern', line: 1 }
}

function* logicalLines(text: string): Generator<[line: number, text: string]> {
  let begun = ''
  let from = 1
  for (const [index, line] of text.split('\n').entries()) {
    if (begun === '') from = index + 1
    const whole = begun + line.replace(/\r$/, '')
    if (whole.endsWith('\\')) {
      begun = `${whole.slice(0, -1)} `
      continue
    }
    begun = ''
    yield [from, whole.replace(/^\u{FEFF}/u, '')]
  }
}
