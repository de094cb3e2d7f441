import { completePolicy } from './complete-policy.ts'
import { closest } from './diagnostic.ts'
import { modernStatements } from './keywords.ts'
import type { ReadText } from './lexer.ts'
import { parseListen } from './modern-listener.ts'
import { parseOldRule } from './old-rule.ts'
import {
  parseBounceWarn,
  parseCurve,
  parseExpire,
  parseMaximumDeferred,
  parseOldCa,
  parseOldCiphers,
  parseOldDelimiter,
  parseOldLimit,
  parseOldMaximumSize,
  parseOldPki,
  parseOldQueue,
} from './old-settings.ts'
import { newPolicyDraft, type PolicyDraft } from './policy-draft.ts'
import { parseInclude, readStatements, type ReadStatement, type Statements } from './statements.ts'
import { parseTable } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'

const statements: Statements = {
  include: parseInclude,
  table: parseTable,
  listen: parseListen,
  accept: parseOldRule,
  reject: parseOldRule,
  pki: parseOldPki,
  ca: parseOldCa,
  expire: parseExpire,
  'bounce-warn': parseBounceWarn,
  'max-message-size': parseOldMaximumSize,
  'max-mta-deferred': parseMaximumDeferred,
  'subaddressing-delimiter': parseOldDelimiter,
  ciphers: parseOldCiphers,
  curve: parseCurve,
  limit: parseOldLimit,
  queue: parseOldQueue,
}

/**
 * The grammar of 5.3 to 6.0.3 (section 4), into the same draft as the modern one. What differs in meaning is written out in the
 * draft: who counts as local, tags with case, relay URLs, an action of its own for each rule.
 */
export function parseOld(
  reader: TokenReader,
  read: ReadText,
  onStatement?: (statement: ReadStatement) => void,
  libexec?: readonly string[],
): PolicyDraft {
  const draft = newPolicyDraft(reader, read, 'old', libexec)
  const observed = onStatement === undefined ? {} : { onStatement }
  readStatements(draft, { statements, unknown: unknownStatement, ...observed })
  completePolicy(draft, 'add a rule: accept for local deliver to maildir')
  return draft
}

function unknownStatement({ reader }: PolicyDraft): never {
  const token = reader.peek()
  const modern = modernStatements.get(token.text)
  if (token.kind === 'word' && modern !== undefined) {
    const message = `"${token.text}" is of the new grammar, and this file is of the old one`
    const hint = `one grammar a file: ${modern}; or convert the file: sluicectl convert FILE`
    reader.fail('old-grammar', message, token.span, hint)
  }
  if (token.text === 'filter' || token.text === 'filterchain') {
    const hint = 'remove it; the filters of 5.7 were withdrawn, those of 6.6 and later need the modern grammar'
    reader.fail('unsupported', 'the filters of the old grammar are not supported', token.span, hint)
  }
  if (token.text === 'map' || token.text === 'hostname') {
    const hint = token.text === 'map' ? 'write `table`' : 'set SMTPD_HOSTNAME, or `hostname` in pipeline.conf'
    reader.fail('old-grammar', `"${token.text}" is of releases before 5.3`, token.span, hint)
  }
  if (token.text === 'set') {
    reader.fail('old-grammar', '"set" is of snapshots only', token.span, 'drop the word `set`')
  }
  if (token.kind !== 'word') return reader.unexpected('a statement', Object.keys(statements))
  const meant = closest(token.text, Object.keys(statements))
  const hint = meant === undefined ? `one of: ${Object.keys(statements).join(', ')}` : `did you mean "${meant}"?`
  return reader.fail('unknown-keyword', `there is no statement "${token.text}"`, token.span, hint)
}
