import type { Rate } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { amountOf } from './pipeline-rate.ts'

/** What the sender of a message is told of its fate, and how often. */
export const bounceStatements: Readonly<Record<string, ParseStatement>> = { bounces: parseBounces }

/** `bounces limit address | domain N/PERIOD | off`, each once. */
function parseBounces(draft: PipelineDraft): void {
  const { reader, stated } = draft
  reader.next()
  reader.expect('limit', 'behind "bounces"')
  const { span } = reader.peek()
  const per = choiceOf(reader, ['address', 'domain'] as const, 'whose limit it is')
  if (stated.has(`bounces ${per}`))
    reader.fail('duplicate', `"bounces limit ${per}" is stated already`, span, 'keep one of the two')
  stated.add(`bounces ${per}`)
  const limit: Rate | undefined = reader.accept('off') ? undefined : amountOf(reader)
  const { [per]: _replaced, ...others } = draft.settings.bounces
  finish(draft, { bounces: { ...others, ...(limit === undefined ? {} : { [per]: limit }) } })
}
