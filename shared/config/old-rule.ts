import { parseOldDelivery, parseOldRelay } from './old-delivery.ts'
import type { Token } from './lexer.ts'
import type { Action, Condition, LocalAction, Position, Rule } from './model.ts'
import { Once } from './once.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseTables } from './table-grammar.ts'
import { positionOf } from './token-reader.ts'

const conditionWords = ['tagged', 'from', 'for', 'sender', 'recipient', 'authenticated']
const lookupWords = ['alias', 'virtual', 'userbase']
const endings = ['deliver', 'relay', 'expire', 'forward-only']

/** Order of evaluation: it matters only when a table fails. */
const order = ['tagged', 'authenticated', 'from', 'sender', 'recipient', 'for'] as const
type Slot = (typeof order)[number]

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }
type Lookups = Mutable<Pick<LocalAction, 'alias' | 'virtual' | 'userbase'>>
type Body = Pick<LocalAction, 'kind' | 'method' | 'user'> | Extract<Action, { readonly kind: 'relay' }>
type Parameters = { ttlMs?: number; forwardOnly?: Token }

/** `accept conditions [look-ups] [deliver ... | relay ...] [expire DURATION] [forward-only]` and `reject conditions`. */
export function parseOldRule(draft: PolicyDraft): void {
  draft.faultyRules = true
  const { reader } = draft
  const start = reader.next()
  const at = positionOf(start)
  const conditions = parseConditions(draft)
  const decision: Rule['decision'] =
    start.text === 'reject' ? { kind: 'reject' } : { kind: 'action', name: parseCarrying(draft, at) }
  if (!reader.atEnd()) refuseRest(draft, decision)
  const text = reader.lexer.textBetween(start, reader.last) ?? `${start.text} of ${at.file}:${at.line}`
  reader.endOfStatement()
  draft.rules.push({ at, text, conditions, decision })
  draft.faultyRules = false
}

function parseConditions(draft: PolicyDraft): readonly Condition[] {
  const { reader } = draft
  const found = new Map<Slot, Condition>()
  for (;;) {
    const word = reader.peek()
    const slot = slotAt(draft)
    if (slot === undefined) break
    const condition = parseCondition(draft, slot)
    if (found.has(slot)) reader.fail('duplicate', `this rule says "${slot}" already`, word.span, 'write two rules')
    found.set(slot, condition)
  }
  if (!found.has('from')) found.set('from', { kind: 'from-local', not: false, authenticatedIsLocal: true })
  if (!found.has('for')) found.set('for', { kind: 'for-local', not: false })
  return order.map((slot) => found.get(slot)).filter((condition) => condition !== undefined)
}

function slotAt({ reader }: PolicyDraft): Slot | undefined {
  if (reader.at('!') && reader.at('authenticated', 1)) return 'authenticated'
  if (reader.at('!') && reader.peek(1).kind === 'keyword') {
    const hint = `write "!" behind it: ${reader.peek(1).text} ! ...`
    reader.fail('syntax', `"!" stands behind "${reader.peek(1).text}" in the old grammar`, reader.peek().span, hint)
  }
  if (reader.at('tag')) reader.fail('unknown-keyword', '"tag" is for listeners', reader.peek().span, 'write `tagged`')
  return order.find((slot) => reader.at(slot))
}

function parseCondition(draft: PolicyDraft, slot: Slot): Condition {
  const { reader } = draft
  if (slot === 'authenticated') {
    const not = reader.accept('!')
    reader.next()
    return { kind: 'auth', not, regex: false }
  }
  reader.next()
  const not = reader.accept('!')
  switch (slot) {
    case 'tagged':
      return { kind: 'tag', not, regex: false, table: oneTag(draft), caseSensitive: true }
    case 'from':
      return parseFrom(draft, not)
    case 'for':
      return parseFor(draft, not)
    case 'sender':
      return { kind: 'mail-from', not, regex: false, table: parseTables(draft, 'list', '"sender"') }
    case 'recipient':
      return { kind: 'rcpt-to', not, regex: false, table: parseTables(draft, 'list', '"recipient"') }
  }
}

function oneTag(draft: PolicyDraft) {
  const word = draft.reader.string('a tag')
  const name = `<inline ${draft.inlineTables}>`
  draft.inlineTables += 1
  return { name, source: { kind: 'inline', list: [word.text] }, at: positionOf(word) } as const
}

function parseFrom(draft: PolicyDraft, not: boolean): Condition {
  const { reader } = draft
  if (reader.accept('any')) return { kind: 'from-any', not }
  if (reader.accept('local')) return { kind: 'from-local', not, authenticatedIsLocal: true }
  if (reader.accept('source')) {
    const table = parseTables(draft, 'list', '"from source"')
    return { kind: 'from-src', not, regex: false, table, authenticatedIsLocal: true }
  }
  if (!reader.atString() && !reader.at('<') && !reader.at('{')) reader.unexpected('a source behind "from"', sources)
  const hint = 'write `from source` before addresses'
  return reader.fail('syntax', '`from` needs to know what is compared', reader.peek().span, hint)
}

const sources = ['any', 'local', 'source']

function parseFor(draft: PolicyDraft, not: boolean): Condition {
  const { reader } = draft
  if (reader.accept('any')) return { kind: 'for-any', not }
  if (reader.accept('local')) return { kind: 'for-local', not }
  if (reader.accept('domain')) {
    return { kind: 'for-domain', not, regex: false, table: parseTables(draft, 'list', '"for domain"') }
  }
  if (!reader.atString() && !reader.at('<') && !reader.at('{')) reader.unexpected('a target behind "for"', targets)
  const hint = 'write `for domain` before domains'
  return reader.fail('syntax', '`for` needs to know what is compared', reader.peek().span, hint)
}

const targets = ['any', 'local', 'domain']

/** What an `accept` does, as an action of its own; its name. */
function parseCarrying(draft: PolicyDraft, at: Position): string {
  const { reader } = draft
  const first = reader.peek()
  const lookups = parseLookups(draft)
  const word = reader.peek()
  const body: Body | undefined = reader.at('deliver')
    ? parseOldDelivery(draft)
    : reader.at('relay')
      ? { ...parseOldRelay(draft), name: '', at }
      : undefined
  const { ttlMs, forwardOnly } = parseParameters(draft)
  if (body?.kind === 'relay' && Object.keys(lookups).length > 0) {
    reader.fail('conflict', 'alias, virtual and userbase are for deliveries here', word.span, 'remove it, or deliver')
  }
  if (body !== undefined && forwardOnly !== undefined) {
    const hint = 'remove "forward-only", or the delivery'
    reader.fail('conflict', '"forward-only" excludes a delivery and a relay', forwardOnly.span, hint)
  }
  const name = nameOfAction(draft, at, first)
  const named = { name, at, ...(ttlMs === undefined ? {} : { ttlMs }) }
  const expansion = { kind: forwardOnly === undefined ? 'expand-only' : 'forward-only' } as const
  const action: Action =
    body?.kind === 'relay' ? { ...body, ...named } : { kind: 'local', method: expansion, ...body, ...lookups, ...named }
  draft.actions.set(name, action)
  return name
}

function parseLookups(draft: PolicyDraft): Lookups {
  const { reader } = draft
  const lookups: Lookups = {}
  const once = new Once(reader)
  for (;;) {
    const word = reader.peek()
    if (reader.accept('userbase')) {
      once.check(word)
      lookups.userbase = parseTables(draft, 'map', '"userbase"')
    } else if (reader.accept('alias') || reader.accept('virtual')) {
      once.check(word, 'alias')
      lookups[word.text === 'alias' ? 'alias' : 'virtual'] = parseTables(draft, 'map', `"${word.text}"`)
    } else return lookups
  }
}

function parseParameters(draft: PolicyDraft): Parameters {
  const { reader } = draft
  const once = new Once(reader)
  const found: Parameters = {}
  for (;;) {
    const word = reader.peek()
    if (reader.accept('expire')) {
      once.check(word)
      found.ttlMs = reader.duration('expire')
    } else if (reader.accept('forward-only')) {
      once.check(word)
      found.forwardOnly = word
    } else return found
  }
}

/**
 * What the rule says behind its conditions: `relay via 'smtp://localhost:10024'`. Queued mail finds its action by this name after
 * a reload, wherever in the file the rule stands then.
 */
function nameOfAction(draft: PolicyDraft, at: Position, first: Token): string {
  const { reader } = draft
  const written = reader.lexer.textBetween(first, reader.last)
  const name = written === undefined ? `rule at ${at.file}:${at.line}` : written.replaceAll('"', "'") || 'expand'
  const copy = (draft.sameActions.get(name) ?? 0) + 1
  draft.sameActions.set(name, copy)
  return copy === 1 ? name : `${name} (${copy})`
}

function refuseRest({ reader }: PolicyDraft, decision: Rule['decision']): never {
  const token = reader.peek()
  if (decision.kind === 'reject' && [...endings, ...lookupWords].includes(token.text)) {
    const hint = 'remove it, or write `accept`'
    reader.fail('conflict', `a rule that rejects has no "${token.text}"`, token.span, hint)
  }
  if (lookupWords.includes(token.text)) {
    const hint = `put "${token.text}" between the conditions and the delivery`
    reader.fail('syntax', `"${token.text}" stands behind the delivery`, token.span, hint)
  }
  if (conditionWords.includes(token.text)) {
    const hint = `put "${token.text}" before alias, virtual, userbase, deliver and relay`
    reader.fail('syntax', `the condition "${token.text}" comes too late`, token.span, hint)
  }
  return reader.unexpected('a condition, a delivery or the end of the line', [
    ...conditionWords,
    ...lookupWords,
    ...endings,
  ])
}
