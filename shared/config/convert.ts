import { ConfigurationError, type Diagnostic } from './diagnostic.ts'
import { grammarOfFile } from './grammar-choice.ts'
import { oldKeywords } from './keywords.ts'
import { Lexer, type ReadText } from './lexer.ts'
import type { Action, Position, Rule } from './model.ts'
import { nameForAction, renderAction } from './render-action.ts'
import { renderMatches } from './render-match.ts'
import { rewriteSetting } from './rewrite-setting.ts'
import { parseOld } from './old-grammar.ts'
import type { PolicyDraft } from './policy-draft.ts'
import type { ReadStatement } from './statements.ts'
import { TokenReader } from './token-reader.ts'

export interface Conversion {
  /** smtpd.conf in the grammar of 6.4 and later. */
  readonly text: string
  /** What the old file has that an operator should look at. */
  readonly notes: readonly Diagnostic[]
}

export interface ConvertOptions {
  readonly read: ReadText
  readonly definitions?: Readonly<Record<string, string>>
}

/**
 * Writes a file of the old grammar anew. Comments, empty lines, tables and macros stay where they are; what a rule had from macros is
 * written out. Files that it includes are read, and must be converted each. Routes as before: whoever is authenticated was local, so
 * a rule for local clients becomes two.
 * @throws ConfigurationError when the file has a fault or is not of the old grammar
 */
export function convertToModern(path: string, { read, definitions }: ConvertOptions): Conversion {
  const lexer = new Lexer(path, {
    keywords: oldKeywords,
    read,
    ...(definitions === undefined ? {} : { definitions }),
  })
  if (grammarOfFile(path, read) === 'modern') throw alreadyModern(path, read)
  const statements: ReadStatement[] = []
  const draft = parseOld(new TokenReader(lexer), read, (statement) => statements.push(statement))
  const faults = lexer.diagnostics.filter((one) => one.severity === 'error' && !isOfThisHost(one))
  if (faults.length > 0) throw new ConfigurationError(faults)
  return { text: rewrite({ draft, statements, path, source: normalised(read(path)) }), notes: lexer.diagnostics }
}

/** Not of the file itself: what is missing on this machine, and what this program does not carry out. */
function isOfThisHost({ code }: Diagnostic): boolean {
  return code === 'missing-file' || code === 'table-content' || code === 'unsupported'
}

function alreadyModern(path: string, read: ReadText): ConfigurationError {
  const [sourceLine = ''] = normalised(read(path)).split('\n')
  const span = { file: path, line: 1, column: 1, length: 1, sourceLine }
  const message = 'this file is written in the grammar of 6.4 and later already'
  return new ConfigurationError([{ severity: 'error', code: 'old-grammar', message, span }])
}

interface Work {
  readonly draft: PolicyDraft
  readonly statements: readonly ReadStatement[]
  readonly path: string
  /** As the lexer counts it: without a byte order mark, lines ending in LF. */
  readonly source: string
}

function rewrite({ draft, statements, path, source }: Work): string {
  const names = new ActionNames(draft)
  const parts: string[] = []
  let at = 0
  for (const { first, tokens } of statements) {
    const last = tokens.findLast((token) => token.text !== '\n')
    if (last === undefined || first.span.file !== path || last.span.file !== path || first.from < at) continue
    const here = (one: { readonly at: Position }): boolean =>
      one.at.file === path && one.at.line === first.span.line && one.at.column === first.span.column
    const rule = draft.rules.find((one) => here(one))
    const lines =
      rule === undefined
        ? rewriteSetting(
            tokens,
            source,
            draft.listeners.find((one) => here(one)),
          )
        : ruleLines(rule, names)
    if (lines === undefined) continue
    parts.push(source.slice(at, first.from), lines.join(`\n${indentBefore(source, first.from)}`))
    at = last.to
  }
  return parts.join('') + source.slice(at)
}

function ruleLines(rule: Rule, names: ActionNames): readonly string[] {
  const { decision } = rule
  if (decision.kind === 'reject') return matchLines(rule, 'reject')
  const { name, declaration } = names.of(decision.name)
  return [...declaration, ...matchLines(rule, `action "${name}"`)]
}

function matchLines(rule: Rule, ending: string): readonly string[] {
  const matches = renderMatches(rule.conditions)
  return matches.length > 0
    ? matches.map((conditions) => `${conditions} ${ending}`)
    : [`# no mail ever matched this rule: ${rule.text}`]
}

/** Actions get readable names; rules that do the same share one. */
class ActionNames {
  readonly #draft: PolicyDraft
  readonly #nameOf = new Map<string, string>()

  constructor(draft: PolicyDraft) {
    this.#draft = draft
  }

  of(anonymous: string): { readonly name: string; readonly declaration: readonly string[] } {
    const action = this.#draft.actions.get(anonymous)
    if (action === undefined) throw new Error(`a rule names the action "${anonymous}", which is not declared`)
    const body = renderAction(action)
    const known = this.#nameOf.get(body.text)
    if (known !== undefined) return { name: known, declaration: [] }
    const name = this.#free(action)
    this.#nameOf.set(body.text, name)
    return { name, declaration: [...body.remarks, `action "${name}" ${body.text}`] }
  }

  #free(action: Action): string {
    const taken = new Set(this.#nameOf.values())
    const wanted = nameForAction(action)
    let name = wanted
    for (let copy = 2; taken.has(name); copy += 1) name = `${wanted}-${copy}`
    return name
  }
}

function normalised(text: string): string {
  return text.replace(/^\u{FEFF}/u, '').replaceAll('\r\n', '\n')
}

function indentBefore(source: string, offset: number): string {
  const line = source.slice(source.lastIndexOf('\n', offset - 1) + 1, offset)
  return /^[ \t]*$/.test(line) ? line : ''
}
