import { closest } from './diagnostic.ts'
import { oldStatements } from './keywords.ts'
import type { ReadText } from './lexer.ts'
import { parseAction } from './modern-action.ts'
import { parseFilter, parseProc } from './modern-filter.ts'
import { parseListen } from './modern-listener.ts'
import { parseMatch } from './modern-match.ts'
import {
  parseAdmd,
  parseBounce,
  parseCa,
  parseMda,
  parseMta,
  parsePki,
  parseQueue,
  parseScheduler,
  parseSmtp,
  parseSrs,
} from './modern-settings.ts'
import { newPolicyDraft, type PolicyDraft } from './policy-draft.ts'
import { parseTable } from './table-grammar.ts'
import { parseInclude, readStatements, type Statements } from './statements.ts'
import type { TokenReader } from './token-reader.ts'
import { completePolicy } from './complete-policy.ts'

const statements: Statements = {
  include: parseInclude,
  table: parseTable,
  listen: parseListen,
  action: parseAction,
  match: parseMatch,
  filter: parseFilter,
  proc: parseProc,
  pki: parsePki,
  ca: parseCa,
  mda: parseMda,
  mta: parseMta,
  queue: parseQueue,
  scheduler: parseScheduler,
  smtp: parseSmtp,
  srs: parseSrs,
  bounce: parseBounce,
  admd: parseAdmd,
}

/**
 * The grammar of 6.4 to 7.8 (section 3). Never throws for what the file says: all faults of the file are in the lexer's
 * diagnostics, and the draft holds what could be understood.
 */
export function parseModern(reader: TokenReader, read: ReadText, libexec?: readonly string[]): PolicyDraft {
  const draft = newPolicyDraft(reader, read, 'modern', libexec)
  readStatements(draft, { statements, unknown: unknownStatement })
  completePolicy(draft, 'add an `action` and a `match` that names it')
  return draft
}

function unknownStatement(draft: PolicyDraft): void {
  const { reader } = draft
  const token = reader.peek()
  const old = token.kind === 'word' ? oldStatements.get(token.text) : undefined
  if (old !== undefined) {
    const message = `"${token.text}" is of the old grammar, and this file is of the new one`
    reader.fail('old-grammar', message, token.span, `one grammar a file: ${old}`)
  }
  const meant = token.kind === 'word' ? closest(token.text, Object.keys(statements)) : undefined
  // One fault is one message: what names the thing is not told that it is missing.
  if ((meant === 'action' || meant === 'table' || meant === 'filter') && reader.atString(1))
    draft.names.touch(meant, reader.peek(1))
  if (token.kind === 'word') {
    const hint = meant === undefined ? `one of: ${Object.keys(statements).join(', ')}` : `did you mean "${meant}"?`
    reader.fail('unknown-keyword', `there is no statement "${token.text}"`, token.span, hint)
  }
  reader.unexpected('a statement', Object.keys(statements))
}
