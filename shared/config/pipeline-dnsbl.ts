import type { RestrictionRule } from './model.ts'
import { scoreOf } from './pipeline-draft.ts'
import type { PipelineDraft } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'

/** `"zone" [answer NETWORKS]`. */
export function dnsblOf(draft: PipelineDraft): Extract<RestrictionRule, { readonly kind: 'dnsbl' }> {
  const { reader } = draft
  const { text, span } = reader.string('the zone of the list')
  const zone = text.toLowerCase().replace(/\.$/, '')
  if (!/^(?=.{1,180}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+$/.test(zone))
    reader.fail('value', `"${text}" is no domain`, span, '"zen.spamhaus.org"')
  const answers = reader.accept('answer') ? parseTables(draft.policy, 'list', '"answer"') : undefined
  return { kind: 'dnsbl', zone, ...(answers === undefined ? {} : { answers }) }
}

/** A score as it may be added up: lists of good senders count below zero. */
export function signedScoreOf(reader: TokenReader): number {
  const { span } = reader.peek()
  const score = scoreOf(reader)
  return score === 0 ? reader.fail('value', 'a score of 0 says nothing', span) : score
}
