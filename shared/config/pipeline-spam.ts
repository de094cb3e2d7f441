import type { SpamAction, SpamCondition, SpamPolicy } from './model.ts'
import { finish, choiceOf, scoreOf, tagOf } from './pipeline-draft.ts'
import type { PipelineDraft } from './pipeline-draft.ts'
import { atTables, parseTables } from './table-grammar.ts'

const actions: readonly SpamAction[] = ['junk', 'quarantine', 'reject', 'discard']

/** `spam SETTINGS`, `spam for CONDITION SETTINGS` or `spam clean CONDITION bypass`; statements add up. */
export function parseSpam(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('clean')) parseClean(draft)
  else if (reader.accept('for')) parsePolicy(draft)
  else parseSettings(draft)
}

/** `[engine builtin] [junk N] [quarantine N] [reject N] [discard N] [header NAME] [subject TEXT]`. */
function parseSettings(draft: PipelineDraft): void {
  const { reader } = draft
  let spam = draft.settings.spam
  while (!reader.atEnd()) {
    const action = actions.find((one) => reader.accept(one))
    if (action !== undefined) spam = { ...spam, [action]: scoreOf(reader) }
    else if (reader.accept('engine')) choiceOf(reader, ['builtin'] as const, 'the engine')
    else if (reader.accept('subject')) spam = { ...spam, subject: reader.string('a text').text }
    else if (reader.accept('header')) spam = { ...spam, header: fieldNameOf(draft) }
    else reader.unexpected('a setting of spam', ['engine', ...actions, 'header', 'subject', 'clean', 'for'])
  }
  finish(draft, { spam })
}

function fieldNameOf({ reader }: PipelineDraft): string {
  const header = reader.string('the name of a header field')
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(header.text)) reader.fail('value', 'this is not a field name', header.span)
  return header.text
}

/** `spam for tag NAME` or `spam for domain <T>`, then `[junk N|never] ... [subject TEXT]`. */
function parsePolicy(draft: PipelineDraft): void {
  const { reader } = draft
  const { spam } = draft.settings
  let policy: SpamPolicy = { for: policyConditionOf(draft) }
  if (reader.atEnd()) reader.unexpected('what differs', [...actions, 'subject'])
  while (!reader.atEnd()) {
    const action = actions.find((one) => reader.accept(one))
    if (action !== undefined) policy = { ...policy, [action]: reader.accept('never') ? 'never' : scoreOf(reader) }
    else if (reader.accept('subject')) policy = { ...policy, subject: reader.string('a text').text }
    else reader.unexpected('a setting of this policy', [...actions, 'subject'])
  }
  finish(draft, { spam: { ...spam, policies: [...spam.policies, policy] } })
}

function policyConditionOf(draft: PipelineDraft): SpamPolicy['for'] {
  const { reader } = draft
  if (reader.accept('tag')) return { kind: 'tag', tag: tagOf(reader) }
  if (reader.accept('domain')) return { kind: 'domain', table: parseTables(draft.policy, 'either', '"domain"') }
  return reader.unexpected('whose mail it is for', ['tag', 'domain'])
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
