import type { Envelope, Recipient } from '../mail/envelope.ts'
import type { OutcomeRecord } from './spool.ts'

/**
 * The envelope as an operator's decisions leave it: who is readdressed has a new mailbox and keeps the address the sender wrote as
 * `original`, for reports (RFC 3461 §5.2); who is rerouted has an `order`. A new address ends the order for the old one.
 * @param outcomes of this message, oldest first
 */
export function withDecisions<E extends Pick<Envelope, 'recipients'>>(
  envelope: E,
  outcomes: readonly OutcomeRecord[],
): E {
  if (!outcomes.some(isDecision)) return envelope
  const recipients = [...envelope.recipients]
  for (const outcome of outcomes) {
    const recipient = recipients[outcome.recipient]
    if (recipient !== undefined) recipients[outcome.recipient] = after(outcome, recipient)
  }
  return { ...envelope, recipients }
}

/** Epoch ms of the last decision about one of these recipients. */
export function lastDecisionAt(outcomes: readonly OutcomeRecord[], recipients: readonly number[]): number | undefined {
  return outcomes.findLast((outcome) => isDecision(outcome) && recipients.includes(outcome.recipient))?.at
}

export function isDecision({ kind }: OutcomeRecord): boolean {
  return kind === 'rerouted' || kind === 'readdressed'
}

function after({ kind, order: given, copy }: OutcomeRecord, recipient: Recipient): Recipient {
  if (kind === 'rerouted') {
    const { order: _, ...rest } = recipient
    return given === undefined ? rest : { ...rest, order: given }
  }
  if (kind !== 'readdressed' || copy === undefined) return recipient
  const { order: _, target: __, original, ...rest } = recipient
  if (original !== undefined) return { ...rest, ...copy, original }
  return { ...rest, ...copy, original: recipient.mailbox, readdressed: true }
}
