import type { JournalEntry } from '../journal.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageSources } from '../report/message-view.ts'
import { isFinal } from '../spool/spool.ts'

/** Who was sent a copy by a replay that has arrived, or may yet. */
export interface ReplayedBefore {
  /** Indexes into the envelope's recipients. */
  readonly recipients: ReadonlySet<number>
  readonly mailboxes: ReadonlySet<string>
}

/** As the story tells; what came to grief does not count. */
export async function replayedBefore(
  { outcomesOf }: Pick<MessageSources, 'outcomesOf'>,
  story: readonly JournalEntry[],
): Promise<ReplayedBefore> {
  const recipients = new Set<number>()
  const mailboxes = new Set<string>()
  for (const { event, as, rcpt, to } of story as readonly ReplayedLine[]) {
    if (event !== 'replayed' || typeof as !== 'string' || !isMessageId(as) || !Array.isArray(to)) continue
    const lost = new Set(
      (await outcomesOf(as)).filter((one) => isFinal(one) && !isArrival(one)).map((one) => one.recipient),
    )
    for (const [index, mailbox] of to.entries()) {
      if (lost.has(index)) continue
      const recipient = rcpt?.[index]
      if (recipient !== undefined) recipients.add(recipient)
      mailboxes.add(mailbox)
    }
  }
  return { recipients, mailboxes }
}

/** As `Events.replayed` writes it: the recipients of message `as` are `to`, in that order. */
interface ReplayedLine extends JournalEntry {
  readonly as?: string
  readonly rcpt?: readonly number[]
  readonly to?: readonly string[]
}

export function isArrival({ kind }: { readonly kind: string }): boolean {
  return kind === 'delivered' || kind === 'relayed'
}
