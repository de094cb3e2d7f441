import type { Token } from './lexer.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseExpressions, parseNames, parseTables } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'
import { refuseUnsupported } from './unsupported.ts'

const kinds = ['phase', 'proc', 'proc-exec', 'chain']
const processOptions = ['user', 'group', 'chroot']
const decisions = ['reject', 'disconnect', 'rewrite', 'report', 'junk', 'bypass']
const everywhere = ['fcrdns', 'rdns', 'src']

/** Conditions a phase knows (section 9.1). */
const phases: Readonly<Record<string, readonly string[]>> = {
  connect: everywhere,
  helo: [...everywhere, 'helo'],
  ehlo: [...everywhere, 'helo'],
  auth: [...everywhere, 'helo', 'auth'],
  'mail-from': [...everywhere, 'helo', 'auth', 'mail-from'],
  'rcpt-to': [...everywhere, 'helo', 'auth', 'mail-from', 'rcpt-to'],
  data: [...everywhere, 'helo', 'auth', 'mail-from'],
  commit: [...everywhere, 'helo', 'auth', 'mail-from'],
}

/** `filter NAME ...`: checked in full, then refused, as no version of ours runs filters in the session yet. */
export function parseFilter(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  const name = reader.string('the name of the filter')
  draft.names.declare('filter', name)
  if (reader.accept('phase')) parsePhase(draft)
  else if (reader.accept('chain')) {
    requireNames(draft, parseNames(reader, 'the name of a filter'))
  } else if (reader.accept('proc-exec')) {
    reader.string('a command')
    parseProcessOptions(reader)
  } else if (reader.accept('proc')) draft.names.require('proc', reader.string('the name of a proc'))
  else reader.unexpected('what the filter is', kinds)
  refuseUnsupported(reader, 'filter', start.span)
  reader.endOfStatement()
}

/** `proc NAME COMMAND options`. */
export function parseProc(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  draft.names.declare('proc', reader.string('the name of the process'))
  reader.string('a command')
  parseProcessOptions(reader)
  refuseUnsupported(reader, 'proc', start.span)
  reader.endOfStatement()
}

/** The filter or the list of filters that an option names. */
export function requireFilters(draft: PolicyDraft): void {
  const { reader } = draft
  if (reader.at('{')) requireNames(draft, parseNames(reader, 'the name of a filter'))
  else draft.names.require('filter', reader.string('the name of a filter'))
}

function requireNames(draft: PolicyDraft, names: readonly Token[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    draft.names.require('filter', name)
    if (seen.has(name.text))
      draft.reader.report('duplicate', `the filter "${name.text}" is in the chain twice`, name.span)
    seen.add(name.text)
  }
}

function parsePhase(draft: PolicyDraft): void {
  const { reader } = draft
  const phase = reader.peek()
  const allowed = phase.kind === 'keyword' && Object.hasOwn(phases, phase.text) ? phases[phase.text] : undefined
  if (allowed === undefined) return reader.unexpected('a phase', Object.keys(phases))
  reader.next()
  reader.expect('match', 'behind the phase')
  reader.accept('!')
  parseFilterCondition(draft, allowed)
  const decision = reader.peek()
  const possible = phase.text === 'commit' ? decisions.slice(0, 4) : decisions
  if (!possible.includes(decision.text) || decision.kind !== 'keyword') reader.unexpected('a decision', possible)
  reader.next()
  if (decision.text === 'junk' || decision.text === 'bypass') return
  const text = reader.string(`the text of "${decision.text}"`)
  const replies = decision.text === 'reject' || decision.text === 'disconnect'
  if (replies && !/^[45]\d\d(?: |$)/.test(text.text)) {
    reader.report('value', 'the reply needs a code 4xx or 5xx', text.span, `"550 ${text.text}"`)
  }
}

function parseFilterCondition(draft: PolicyDraft, allowed: readonly string[]): void {
  const { reader } = draft
  const word = reader.peek()
  if (word.kind !== 'keyword' || !allowed.includes(word.text)) reader.unexpected('a condition of this phase', allowed)
  reader.next()
  if (word.text === 'fcrdns') return
  const optional = word.text === 'rdns' || word.text === 'auth'
  if (reader.accept('regex')) parseExpressions(draft, `"${word.text}"`)
  else if (!optional || reader.atString() || reader.at('<') || reader.at('{'))
    parseTables(draft, 'either', `"${word.text}"`)
}

function parseProcessOptions(reader: TokenReader): void {
  while (!reader.atEnd()) {
    const option = reader.peek()
    if (option.kind !== 'keyword' || !processOptions.includes(option.text)) {
      reader.unexpected('an option of the process', processOptions)
    }
    reader.next()
    reader.string(`the value of "${option.text}"`)
  }
}
