/** What the reader of a configuration file is told: where, what, and what to do about it. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  readonly code: DiagnosticCode
  readonly message: string
  readonly span: Span
  readonly hint?: string
}

/** A piece of one line of a file. Lines and columns count from 1, columns in UTF-16 units. */
export interface Span {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly length: number
  /** The whole line, without its line end. */
  readonly sourceLine: string
}

/** Stable names, for scripts and documentation. */
export type DiagnosticCode =
  | 'syntax'
  | 'character'
  | 'unterminated-string'
  | 'string-too-long'
  | 'undefined-macro'
  | 'include'
  | 'duplicate'
  | 'conflict'
  | 'unknown-name'
  | 'unknown-keyword'
  | 'missing-file'
  | 'table-type'
  | 'table-content'
  | 'value'
  | 'no-rules'
  | 'incomplete'
  | 'old-grammar'
  | 'unsupported'
  | 'portability'
  | 'no-break-space'
  | 'no-effect'
  | 'starttls-on-smtps-port'
  | 'deliver-any-domain'
  | 'open-relay'
  | 'unreachable'
  | 'restriction-order'
  | 'socket-mode'
  | 'certificate'
  | 'old-tls'
  | 'plaintext-auth'
  | 'spam-threshold'
  | 'short-keys'
  | 'backscatter'
  | 'trusted-gateway'
  | 'loop'
  | 'next-start'

/** Thrown by the loader: everything that is wrong, not only the first fault. The message is the rendered text. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[]) {
    super(renderDiagnostics(diagnostics))
    this.diagnostics = diagnostics
  }
}

/** All of them, an empty line between two. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map((one) => renderDiagnostic(one)).join('\n\n')
}

/**
 * The text for a terminal:
 *
 *     smtpd.conf:3:18: error: there is no table "users" [unknown-name]
 *       3 | match for domain <users> action "a"
 *         |                  ^^^^^^^
 *         = hint: did you mean "user"?
 */
export function renderDiagnostic(diagnostic: Diagnostic): string {
  const { span } = diagnostic
  const number = String(span.line)
  const margin = ' '.repeat(number.length)
  const head = `${span.file}:${span.line}:${span.column}: ${diagnostic.severity}: ${diagnostic.message} [${diagnostic.code}]`
  const lines = [head]
  if (span.line > 0) {
    const before = span.sourceLine.slice(0, span.column - 1).replaceAll(/[^\t]/g, ' ')
    const room = Math.max(1, span.sourceLine.length - span.column + 1)
    const caret = '^'.repeat(Math.max(1, Math.min(span.length, room)))
    lines.push(`  ${number} | ${printable(span.sourceLine)}`, `  ${margin} | ${before}${caret}`)
  }
  if (diagnostic.hint !== undefined) lines.push(`  ${margin} = hint: ${diagnostic.hint}`)
  return lines.join('\n')
}

/** The word of `known` that `word` was probably meant to be: at most a third of its letters are wrong. */
export function closest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), least)
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** A span that stands for a whole file. */
export function fileSpan(file: string): Span {
  return { file, line: 0, column: 0, length: 0, sourceLine: '' }
}

function printable(line: string): string {
  return line.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]/g, '\u{FFFD}')
}

/** Insertions, deletions, substitutions and swaps of neighbours; stops caring from `limit` on. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit
  let before: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const cost = from[i - 1] === to[j - 1] ? 0 : 1
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        best = Math.min(best, (before[j - 2] ?? 0) + 1)
      }
      current.push(best)
    }
    before = previous
    previous = current
  }
  return previous[to.length] ?? limit
}
