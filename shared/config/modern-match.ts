import type { Token } from './lexer.ts'
import type { Condition, Rule } from './model.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { atTables, parseExpressions, parseTables } from './table-grammar.ts'
import { positionOf } from './token-reader.ts'

const conditions = ['from', 'for', 'tag', 'helo', 'tls', 'auth', 'mail-from', 'rcpt-to', 'action', 'reject']
const sources = ['any', 'local', 'socket', 'src', 'rdns', 'auth', 'mail-from']
const targets = ['any', 'local', 'domain', 'rcpt-to']

type Compared = Extract<Condition, { readonly regex: boolean }>['kind']
type Slot = 'tag' | 'from' | 'for' | 'helo' | 'auth' | 'tls' | 'mail-from' | 'rcpt-to'

/** Order of evaluation (section 4): it matters only when a table fails. */
const order: readonly Slot[] = ['tag', 'from', 'for', 'helo', 'auth', 'tls', 'mail-from', 'rcpt-to']

/** `match [!]condition ... action NAME` or `... reject`. */
export function parseMatch(draft: PolicyDraft): void {
  draft.faultyRules = true
  const { reader } = draft
  const start = reader.next()
  const found = new Map<Slot, Condition>()
  while (!reader.at('action') && !reader.at('reject')) parseCondition(draft, found)
  const decision = parseDecision(draft)
  if (!reader.atEnd()) {
    reader.fail(
      'syntax',
      'the action or `reject` must end the rule',
      reader.peek().span,
      'put the conditions before it',
    )
  }
  const at = positionOf(start)
  const text = reader.lexer.textBetween(start, reader.last) ?? `match of ${at.file}:${at.line}`
  if (!found.has('from')) found.set('from', { kind: 'from-local', not: false })
  if (!found.has('for')) found.set('for', { kind: 'for-local', not: false })
  const written = order.map((slot) => found.get(slot)).filter((condition) => condition !== undefined)
  reader.endOfStatement()
  draft.rules.push({ at, text, conditions: written, decision })
  draft.faultyRules = false
}

function parseDecision(draft: PolicyDraft): Rule['decision'] {
  const { reader } = draft
  if (reader.accept('reject')) return { kind: 'reject' }
  reader.next()
  const name = reader.string('the name of an action')
  draft.names.require('action', name)
  return { kind: 'action', name: name.text }
}

function parseCondition(draft: PolicyDraft, found: Map<Slot, Condition>): void {
  const { reader } = draft
  const not = reader.accept('!')
  const word = reader.peek()
  if (reader.accept('from')) parseFrom(draft, not, found, word)
  else if (reader.accept('for')) parseFor(draft, not, found, word)
  else if (reader.accept('tls')) put(draft, found, 'tls', { kind: 'tls', not }, word)
  else if (reader.accept('tag')) put(draft, found, 'tag', compared(draft, 'tag', not, 'list'), word)
  else if (reader.accept('helo')) put(draft, found, 'helo', compared(draft, 'helo', not, 'list'), word)
  else if (reader.accept('auth')) put(draft, found, 'auth', comparedOrAny(draft, 'auth', not, 'either'), word)
  else if (reader.accept('mail-from')) put(draft, found, 'mail-from', compared(draft, 'mail-from', not, 'either'), word)
  else if (reader.accept('rcpt-to')) put(draft, found, 'rcpt-to', compared(draft, 'rcpt-to', not, 'either'), word)
  else if (reader.at('tagged'))
    reader.fail('unknown-keyword', '"tagged" is of the old grammar', word.span, 'write `tag`')
  else if (reader.atEnd()) {
    const hint = 'end it with `action NAME` or `reject`'
    reader.fail('incomplete', 'the rule says nothing about what to do', reader.last.span, hint)
  } else reader.unexpected('a condition, `action` or `reject`', conditions)
}

function parseFrom(draft: PolicyDraft, not: boolean, found: Map<Slot, Condition>, word: Token): void {
  const { reader } = draft
  if (reader.accept('any')) put(draft, found, 'from', { kind: 'from-any', not }, word)
  else if (reader.accept('local')) put(draft, found, 'from', { kind: 'from-local', not }, word)
  else if (reader.accept('socket')) put(draft, found, 'from', { kind: 'from-socket', not }, word)
  else if (reader.accept('src')) put(draft, found, 'from', compared(draft, 'from-src', not, 'list'), word)
  else if (reader.accept('rdns')) put(draft, found, 'from', comparedOrAny(draft, 'from-rdns', not, 'list'), word)
  else if (reader.accept('auth')) {
    put(draft, found, 'from', { kind: 'from-any', not: false }, word)
    putAgain(draft, found, 'auth', comparedOrAny(draft, 'auth', not, 'either'), word)
  } else if (reader.accept('mail-from')) {
    put(draft, found, 'from', { kind: 'from-any', not: false }, word)
    putAgain(draft, found, 'mail-from', compared(draft, 'mail-from', not, 'either'), word)
  } else if (reader.atString() || reader.at('<') || reader.at('{')) {
    reader.fail(
      'syntax',
      '`from` needs to know what is compared',
      reader.peek().span,
      'write `from src` before addresses',
    )
  } else reader.unexpected('a source behind "from"', sources)
}

function parseFor(draft: PolicyDraft, not: boolean, found: Map<Slot, Condition>, word: Token): void {
  const { reader } = draft
  if (reader.accept('any')) put(draft, found, 'for', { kind: 'for-any', not }, word)
  else if (reader.accept('local')) put(draft, found, 'for', { kind: 'for-local', not }, word)
  else if (reader.accept('domain')) put(draft, found, 'for', compared(draft, 'for-domain', not, 'list'), word)
  else if (reader.accept('rcpt-to')) {
    put(draft, found, 'for', { kind: 'for-any', not: false }, word)
    putAgain(draft, found, 'rcpt-to', compared(draft, 'rcpt-to', not, 'either'), word)
  } else if (reader.atString() || reader.at('<') || reader.at('{')) {
    reader.fail(
      'syntax',
      '`for` needs to know what is compared',
      reader.peek().span,
      'write `for domain` before domains',
    )
  } else reader.unexpected('a target behind "for"', targets)
}

function compared(draft: PolicyDraft, kind: Compared, not: boolean, wanted: 'list' | 'either'): Condition {
  const use = `"${kind.replace('-', ' ').replace('mail from', 'mail-from').replace('rcpt to', 'rcpt-to')}"`
  const regex = draft.reader.accept('regex')
  const table = regex ? parseExpressions(draft, use) : parseTables(draft, wanted, use)
  return { kind, not, regex, table }
}

function comparedOrAny(draft: PolicyDraft, kind: Compared, not: boolean, wanted: 'list' | 'either'): Condition {
  if (draft.reader.at('regex') || atTables(draft.reader)) return compared(draft, kind, not, wanted)
  return { kind, not, regex: false }
}

function put(draft: PolicyDraft, found: Map<Slot, Condition>, slot: Slot, condition: Condition, word: Token): void {
  if (found.has(slot)) {
    draft.reader.fail('duplicate', `this rule has a condition on "${slot}" already`, word.span, 'write two rules')
  }
  found.set(slot, condition)
}

/**
 * What `from` or `for` says of the transaction, behind a condition of its own on the same thing: as upstream, the later table
 * counts, and none says nothing of which. The other order is an error.
 */
function putAgain(draft: PolicyDraft, found: Map<Slot, Condition>, slot: Slot, later: Condition, word: Token): void {
  const earlier = found.get(slot)
  const names = 'table' in later && later.table !== undefined
  if (earlier !== undefined) {
    const counts = names ? 'only the later one counts' : 'one of them is enough'
    draft.reader.warn('duplicate', `this rule has two conditions on "${slot}": ${counts}`, word.span, 'keep one')
  }
  found.set(slot, earlier === undefined || names ? later : { ...earlier, not: later.not })
}
