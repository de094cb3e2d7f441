import type { Span } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { TokenReader } from './token-reader.ts'

/** Settings of smtpd.conf, in both grammars, whose last statement alone counts, as upstream. */
const settings: ReadonlySet<string> = new Set([
  'admd',
  'bounce warn-interval',
  'mta max-deferred',
  'queue ttl',
  'smtp ciphers',
  'smtp max-message-size',
  'smtp sub-addr-delim',
  'srs key',
  'srs key backup',
  'srs ttl',
  'bounce-warn',
  'ciphers',
  'expire',
  'max-message-size',
  'max-mta-deferred',
  'subaddressing-delimiter',
])
const mostWords = 3

/** Warns of a setting that is stated again; `stated` remembers where each was. */
export function warnOfRepetition(reader: TokenReader, tokens: readonly Token[], stated: Map<string, Span>): void {
  const [first] = tokens
  const name = settingOf(tokens)
  if (first === undefined || name === undefined) return
  const earlier = stated.get(name)
  stated.set(name, first.span)
  if (earlier === undefined) return
  const where = earlier.file === first.span.file ? `line ${earlier.line}` : `${earlier.file}, line ${earlier.line}`
  const message = `"${name}" is stated in ${where} already: only this one counts`
  reader.warn('duplicate', message, first.span, 'keep one of the two')
}

/** The longest name that the statement begins with: `srs key backup`, not `srs key`. */
function settingOf(tokens: readonly Token[]): string | undefined {
  for (let words = mostWords; words > 0; words -= 1) {
    const name = tokens
      .slice(0, words)
      .map(({ text }) => text)
      .join(' ')
    if (settings.has(name)) return name
  }
  return undefined
}
