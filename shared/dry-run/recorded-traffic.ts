import type { JournalEntry } from '../journal.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { journalInOrder } from './journal-in-order.ts'
import { RecordedDraft, refusedRecipient } from './recorded-message.ts'
import type { RecordedMessage } from './recorded-message.ts'

/** Messages that are not at their end are kept in memory, the newest so many of them. */
const mostOpen = 20_000
/** Ids of messages that were given out: what is written of them later says nothing more. */
const mostTold = 50_000

/**
 * The messages that a journal tells of from `sinceAt` (epoch ms) on, each once: when it has come to its end or, without one, behind
 * the others. Messages that came before are left out. Nothing is written.
 */
export async function* recordedTraffic(folder: string, sinceAt: number): AsyncGenerator<RecordedMessage> {
  const open = new Map<MessageId, RecordedDraft>()
  const told = new Set<MessageId>()
  for await (const entries of journalInOrder(folder, sinceAt)) {
    for (const entry of entries) {
      const message = isRefusedRecipient(entry) ? refusedRecipient(entry) : tell(entry, open, told)
      if (message !== undefined) yield message
    }
    while (open.size > mostOpen) {
      const message = oldest(open)
      if (message !== undefined) yield message
    }
  }
  for (const draft of open.values()) if (draft.message !== undefined) yield draft.message
}

function isRefusedRecipient({ event, stage }: JournalEntry): boolean {
  return event === 'rejected' && stage === 'rcpt'
}

function tell(
  entry: JournalEntry,
  open: Map<MessageId, RecordedDraft>,
  told: Set<MessageId>,
): RecordedMessage | undefined {
  const { id, event, stage } = entry
  if (id === undefined || !isMessageId(id) || told.has(id) || (event === 'rejected' && stage !== 'data'))
    return undefined
  const draft = open.get(id) ?? new RecordedDraft(id)
  open.set(id, draft)
  draft.tell(entry)
  if (!draft.isOver) return undefined
  open.delete(id)
  told.add(id)
  if (told.size > mostTold) for (const first of told) if (told.delete(first)) break
  return draft.message
}

function oldest(open: Map<MessageId, RecordedDraft>): RecordedMessage | undefined {
  for (const [id, draft] of open) {
    open.delete(id)
    return draft.message
  }
  return undefined
}
