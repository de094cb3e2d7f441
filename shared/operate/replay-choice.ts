import type { Configuration } from '../config/model.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { MessageSources } from '../report/message-view.ts'
import { formatDuration } from '../report/units.ts'
import { withDecisions } from '../spool/decisions.ts'
import type { OutcomeRecord, SpooledMessage } from '../spool/spool.ts'
import { OperationError } from './operation-error.ts'

export interface ChoiceParts {
  readonly configuration: { readonly pipeline: Pick<Configuration['pipeline'], 'replay'> }
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf'>
}

export interface InSpool {
  readonly stored: SpooledMessage
  /** As operators' decisions leave it. */
  readonly envelope: Envelope
  readonly outcomes: readonly OutcomeRecord[]
}

/** @throws OperationError */
export async function inSpool({ messages, configuration }: ChoiceParts, id: MessageId): Promise<InSpool> {
  const stored = await messages.find(id)
  if (stored === undefined) throw gone(id, configuration.pipeline.replay.keepMs)
  const outcomes = await messages.outcomesOf(id)
  return { stored, envelope: withDecisions(stored.envelope, outcomes), outcomes }
}

function gone(id: MessageId, keepMs: number | undefined): OperationError {
  const kept =
    keepMs === undefined
      ? 'what has come to its end is kept for replays with `replay keep 7d` in pipeline.conf'
      : `what has come to its end is kept for ${formatDuration(keepMs)} (\`replay keep\`), less where it takes too much of the disk`
  return new OperationError(`message ${id} is not in the spool any more: ${kept}`)
}

/** All, or the copy for an address. @throws OperationError */
export function chosenOf({ id, recipients }: Envelope, address: string | undefined): readonly number[] {
  const all = [...recipients.keys()]
  if (address === undefined) return all
  const found = all.filter((index) => recipients[index]?.mailbox.toLowerCase() === address.toLowerCase())
  if (found.length > 0) return found
  throw new OperationError(`message ${id} is not for ${address}: ${recipients.map((one) => one.mailbox).join(', ')}`)
}
