import type { BlockedCondition, RspamdEngine, SpamAction, SpamCondition, SpamEngine, SpamPolicy } from './model.ts'
import { finish, choiceOf, placeOf, scoreOf, tagOf } from './pipeline-draft.ts'
import type { PipelineDraft } from './pipeline-draft.ts'
import { dnsblOf, signedScoreOf } from './pipeline-dnsbl.ts'
import { atTables, parseTables } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'

const actions: readonly SpamAction[] = ['junk', 'quarantine', 'reject', 'discard']

/** `spam SETTINGS`, `spam for CONDITION SETTINGS`, `spam clean CONDITION bypass`, `spam blocked CONDITION` or `spam list ...`; statements add up. */
export function parseSpam(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('clean')) parseClean(draft)
  else if (reader.accept('blocked')) parseBlocked(draft)
  else if (reader.accept('for')) parsePolicy(draft)
  else if (reader.accept('list')) parseList(draft)
  else parseSettings(draft)
}

const settings = ['engine', ...actions, 'header', 'subject', 'report-safe', 'clean', 'blocked', 'for', 'list'] as const

/** `[engine ...] [junk N] [quarantine N] [reject N] [discard N] [header NAME] [subject TEXT] [report-safe on|off]`. */
function parseSettings(draft: PipelineDraft): void {
  const { reader } = draft
  let spam = draft.settings.spam
  while (!reader.atEnd()) {
    const action = actions.find((one) => reader.accept(one))
    if (action !== undefined) spam = { ...spam, [action]: thresholdOf(reader) }
    else if (reader.at('engine')) spam = { ...spam, engines: withEngine(draft, spam.engines) }
    else if (reader.accept('subject')) spam = { ...spam, subject: reader.string('a text').text }
    else if (reader.accept('header')) spam = { ...spam, header: fieldNameOf(draft) }
    else if (reader.accept('report-safe'))
      spam = { ...spam, reportSafe: choiceOf(reader, ['on', 'off'] as const, 'whether junk is attached') === 'on' }
    else reader.unexpected('a setting of spam', settings)
  }
  finish(draft, { spam })
}

/** What good mail now and then reaches: a list or a few words. */
const lowThreshold = 3

function thresholdOf(reader: TokenReader): number {
  const { span } = reader.peek()
  const score = scoreOf(reader)
  if (score < lowThreshold) {
    const message = `good mail reaches a score of ${score} now and then`
    reader.warn('spam-threshold', message, span, '5 is usual; see what would be caught first: `sluicectl scan FILE`')
  }
  return score
}

const engineKinds = ['builtin', 'spamscanner', 'rspamd', 'spamassassin'] as const

/** The first engine that is stated replaces the default. */
function withEngine(draft: PipelineDraft, engines: readonly SpamEngine[]): readonly SpamEngine[] {
  const { reader, stated } = draft
  reader.next()
  const word = reader.peek()
  const kind = choiceOf(reader, engineKinds, 'the engine')
  if (stated.has(`spam engine ${kind}`)) reader.fail('duplicate', `the engine "${kind}" is stated already`, word.span)
  const others = stated.has('spam engine') ? engines : []
  stated.add('spam engine').add(`spam engine ${kind}`)
  return [...others, parseEngine(reader, kind)]
}

function parseEngine(reader: TokenReader, kind: SpamEngine['kind']): SpamEngine {
  switch (kind) {
    case 'builtin':
      return parseBuiltin(reader)
    case 'spamscanner':
      return { kind, weight: reader.accept('weight') ? weightOf(reader) : 1 }
    case 'rspamd': {
      const url = urlOf(reader)
      const { actions = 'obey', ...options } = engineOptions(reader, ['obey', 'ignore'])
      return { kind, url, ...options, actions }
    }
    case 'spamassassin': {
      const place = placeOf(reader, 'spamd')
      const { actions: _none, ...options } = engineOptions(reader, [])
      return { kind, place, ...options }
    }
  }
}

/** `[weight N] [classifier on|off]`. */
function parseBuiltin(reader: TokenReader): SpamEngine {
  let engine: SpamEngine = { kind: 'builtin', weight: 1, classifier: true }
  for (;;) {
    if (reader.accept('weight')) engine = { ...engine, weight: weightOf(reader) }
    else if (reader.accept('classifier'))
      engine = { ...engine, classifier: choiceOf(reader, ['on', 'off'] as const, 'whether words are judged') === 'on' }
    else return engine
  }
}

type EngineOptions = Omit<RspamdEngine, 'kind' | 'url' | 'actions'> & Partial<Pick<RspamdEngine, 'actions'>>

/** `[timeout D] [weight N] [on-failure defer|proceed] [actions obey|ignore]`; another word belongs to `spam`. */
function engineOptions(reader: TokenReader, actionChoices: readonly RspamdEngine['actions'][]): EngineOptions {
  let options: EngineOptions = { weight: 1, timeoutMs: 20_000, onFailure: 'proceed' }
  for (;;) {
    if (reader.accept('timeout')) options = { ...options, timeoutMs: reader.duration('timeout') }
    else if (reader.accept('weight')) options = { ...options, weight: weightOf(reader) }
    else if (reader.accept('on-failure'))
      options = { ...options, onFailure: choiceOf(reader, ['defer', 'proceed'] as const, 'what to do') }
    else if (actionChoices.length > 0 && reader.accept('actions'))
      options = { ...options, actions: choiceOf(reader, actionChoices, 'what to do') }
    else return options
  }
}

function weightOf(reader: TokenReader): number {
  const { span } = reader.peek()
  const weight = scoreOf(reader)
  return weight > 0 ? weight : reader.fail('value', 'a weight is more than 0', span, 'leave the engine out instead')
}

function urlOf(reader: TokenReader): string {
  const url = reader.string('the URL of Rspamd')
  const isUrl = URL.canParse(url.text) && /^https?:$/.test(new URL(url.text).protocol)
  if (!isUrl) reader.fail('value', `"${url.text}" is no URL of Rspamd`, url.span, '"http://127.0.0.1:11333"')
  const { username, password, search, hash } = new URL(url.text)
  if (username + password + search + hash !== '')
    reader.fail('value', 'a URL of Rspamd is only a host, a port and a path', url.span, '"http://127.0.0.1:11333"')
  return url.text
}

function fieldNameOf({ reader }: PipelineDraft): string {
  const header = reader.string('the name of a header field')
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(header.text)) reader.fail('value', 'this is not a field name', header.span)
  return header.text
}

/** `spam for tag NAME`, `spam for domain <T>` or `spam for recipient <T>`, then `[junk N|never] ... [subject TEXT]`. */
function parsePolicy(draft: PipelineDraft): void {
  const { reader } = draft
  const { spam } = draft.settings
  let policy: SpamPolicy = { for: policyConditionOf(draft) }
  if (reader.atEnd()) reader.unexpected('what differs', [...actions, 'subject'])
  while (!reader.atEnd()) {
    const action = actions.find((one) => reader.accept(one))
    if (action !== undefined) policy = { ...policy, [action]: reader.accept('never') ? 'never' : thresholdOf(reader) }
    else if (reader.accept('subject')) policy = { ...policy, subject: reader.string('a text').text }
    else reader.unexpected('a setting of this policy', [...actions, 'subject'])
  }
  finish(draft, { spam: { ...spam, policies: [...spam.policies, policy] } })
}

function policyConditionOf(draft: PipelineDraft): SpamPolicy['for'] {
  const { reader } = draft
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  if (reader.accept('domain')) return { kind: 'domain', table: parseTables(draft.policy, 'either', '"domain"') }
  if (reader.accept('recipient'))
    return { kind: 'recipient', table: parseTables(draft.policy, 'either', '"recipient"') }
  return reader.unexpected('whose mail it is for', ['tag', 'domain', 'recipient'])
}

const usualListScore = 3

/** `spam list client|links "zone" [answer NETWORKS] [score N]`; a score below 0 is for lists of good senders. */
function parseList(draft: PipelineDraft): void {
  const { reader } = draft
  const { spam } = draft.settings
  const of = choiceOf(reader, ['client', 'links'] as const, 'what is looked up')
  const { zone, answers } = dnsblOf(draft)
  const score = reader.accept('score') ? signedScoreOf(reader) : usualListScore
  const list = { of, zone, score, ...(answers === undefined ? {} : { answers }) }
  finish(draft, { spam: { ...spam, lists: [...spam.lists, list] } })
}

/** `spam clean <networks> bypass`, `... mail-from <senders> bypass`, `... tag NAME bypass`. */
function parseClean(draft: PipelineDraft): void {
  const { reader } = draft
  const { spam } = draft.settings
  const condition = cleanConditionOf(draft)
  reader.expect('bypass', 'behind whose mail is clean')
  finish(draft, { spam: { ...spam, clean: [...spam.clean, condition] } })
}

function cleanConditionOf(draft: PipelineDraft): SpamCondition {
  const { reader } = draft
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  if (reader.accept('mail-from'))
    return { kind: 'mail-from', table: parseTables(draft.policy, 'either', '"mail-from"') }
  if (reader.accept('src') || atTables(reader))
    return { kind: 'src', table: parseTables(draft.policy, 'either', '"clean"') }
  return reader.unexpected('whose mail is clean', ['src', 'mail-from', 'tag'])
}

/** `spam blocked <networks>`, `... mail-from <senders>`, `... rcpt-to <recipients>`, `... tag NAME`. */
function parseBlocked(draft: PipelineDraft): void {
  const { spam } = draft.settings
  finish(draft, { spam: { ...spam, blocked: [...spam.blocked, blockedConditionOf(draft)] } })
}

function blockedConditionOf(draft: PipelineDraft): BlockedCondition {
  const { reader } = draft
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  for (const kind of ['mail-from', 'rcpt-to'] as const)
    if (reader.accept(kind)) return { kind, table: parseTables(draft.policy, 'either', `"${kind}"`) }
  if (reader.accept('src') || atTables(reader))
    return { kind: 'src', table: parseTables(draft.policy, 'either', '"blocked"') }
  return reader.unexpected('whose mail is spam', ['src', 'mail-from', 'rcpt-to', 'tag'])
}
