import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import type { Diagnostic } from './diagnostic.ts'
import { modernKeywords, oldKeywords } from './keywords.ts'
import { Lexer, type LexerOptions, type ReadText } from './lexer.ts'
import { parseModern } from './modern-grammar.ts'
import { parseOld } from './old-grammar.ts'
import type { Grammar, PolicyDraft } from './policy-draft.ts'
import { TokenReader } from './token-reader.ts'

/** For tests: data made by real OpenSMTPD releases, kept beside the repository. */
const folder = fileURLToPath(new URL('../../../shared/oracles/smtpdconf/', import.meta.url))

/** Why a test that needs the data is skipped; `false` when it is there. */
export const withoutOracle: string | false = existsSync(folder) ? false : `the oracle data is not there: ${folder}`

export function oracleText(name: string): string {
  return readFileSync(folder + name, 'utf8')
}

/** Rows of a vectors file, the heading left out. */
export function oracleRows(name: string): readonly (readonly string[])[] {
  return oracleText(name)
    .split('\n')
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
}

/** The texts of the corpus; none where the data is not there. */
export function realFiles(): readonly string[] {
  if (withoutOracle !== false) return []
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly { readonly file: string }[]
  return corpus.map(({ file }) => oracleText(`corpus/${file}`))
}

export interface Parsed {
  readonly draft: PolicyDraft
  readonly diagnostics: readonly Diagnostic[]
}

/** Parses text as /etc/mail/smtpd.conf; `files` are the only other files there are. */
export function parseText(
  text: string,
  files: Readonly<Record<string, string>> = {},
  options: Partial<LexerOptions> & { readonly grammar?: Grammar } = {},
): Parsed {
  const path = '/etc/mail/smtpd.conf'
  const read: ReadText = (asked) => {
    const content = asked === path ? text : files[asked]
    if (content === undefined) throw Object.assign(new Error(`no ${asked}`), { code: 'ENOENT' })
    return content
  }
  const old = options.grammar === 'old'
  const lexer = new Lexer(path, { keywords: old ? oldKeywords : modernKeywords, read, ...options })
  const parse = old ? parseOld : parseModern
  return { draft: parse(new TokenReader(lexer), read), diagnostics: lexer.diagnostics }
}

/** Errors but for what this version refuses on purpose. */
export function faultsOf(parsed: Parsed): readonly Diagnostic[] {
  return parsed.diagnostics.filter((one) => one.severity === 'error' && one.code !== 'unsupported')
}
