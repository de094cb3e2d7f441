import { sameChoice, choiceOfListeners } from './listener-choice.ts'
import type { BeforeAcceptRule, Position } from './model.ts'
import { finish } from './pipeline-draft.ts'
import type { PipelineDraft } from './pipeline-draft.ts'

/** A client gives up after 10 minutes (RFC 5321 §4.5.3.2.6), and what waits is held in memory. */
const longestMs = 60_000

/** `filter before-accept [on "eth0:25" | tag NAME] deadline 8s`, its first words read; one for each choice of listeners. */
export function parseBeforeAccept(draft: PipelineDraft, at: Position): void {
  const { reader } = draft
  const { span } = reader.last
  const choice = choiceOfListeners(reader)
  if (draft.settings.beforeAccept.some((rule) => sameChoice(rule.for, choice)))
    reader.fail('duplicate', 'the filter is asked before acceptance there already', span, 'keep one of the two')
  reader.expect('deadline', 'and how long a client waits')
  const written = reader.peek().span
  const deadlineMs = reader.duration('the time a client waits')
  if (deadlineMs > longestMs) reader.fail('value', 'a client waits 60 seconds at most', written, 'deadline 8s')
  const rule: BeforeAcceptRule = { at, ...(choice === undefined ? {} : { for: choice }), deadlineMs }
  finish(draft, { beforeAccept: [...draft.settings.beforeAccept, rule] })
}
