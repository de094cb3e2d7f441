import { choiceOfListeners, sameChoice } from './listener-choice.ts'
import type { StrangersRelayRule } from './model.ts'
import { finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

export const strangersStatements: Readonly<Record<string, ParseStatement>> = { strangers: parseStrangers }

/** `strangers may relay [on "eth0:25" | tag NAME]`; one for each choice of listeners. */
function parseStrangers(draft: PipelineDraft): void {
  const { reader } = draft
  const { span } = reader.next()
  reader.expect('may', 'and what strangers may')
  reader.expect('relay', 'which is all that can be allowed them')
  const choice = choiceOfListeners(reader)
  const { strangersRelay } = draft.settings
  if (strangersRelay.some((rule) => sameChoice(rule.for, choice)))
    reader.fail('duplicate', 'strangers may relay there already', span, 'keep one of the two')
  const { file, line, column } = span
  const rule: StrangersRelayRule = { at: { file, line, column }, ...(choice === undefined ? {} : { for: choice }) }
  finish(draft, { strangersRelay: [...strangersRelay, rule] })
}
