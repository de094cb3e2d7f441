import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import { formatReply } from '../mail/reply.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { LiveIndex } from '../spool/live-index.ts'
import { isFinal } from '../spool/spool.ts'
import type { LiveMessage, OutcomeRecord, Spool } from '../spool/spool.ts'
import type { EventStore } from '../store/event-store.ts'

export interface AuditParts {
  readonly index: Pick<LiveIndex, 'entries' | 'get' | 'isOnDisk'>
  readonly spool: Pick<Spool, 'read' | 'outcomesOf'>
  readonly store: Pick<EventStore, 'unaccepted' | 'openCopies' | 'auditedSince'>
  readonly events: Pick<Events, 'recovered' | 'missing'>
  readonly clock: Clock
}

/** Copies that were accepted, have no final outcome, and are not in the spool: what must never be. */
export type MissingCopies = ReadonlyMap<MessageId, readonly number[]>

/** Until then the journal may not have told it yet. */
const settlesMs = 15_000
const atOnce = 2_000
const perTurn = 5_000

/**
 * Holds what was accepted against what became of it. What the spool knows and the journal does not (lines are written without fsync) is
 * added to the journal; what neither knows is missing, and told once. The index must have been refreshed.
 */
export function createAuditor(parts: AuditParts): () => Promise<MissingCopies> {
  const told = new Set<MessageId>()
  let acceptedAfter = 0

  /** Everything on disk is known to be accepted. */
  async function recoverAccepted(): Promise<void> {
    const before = parts.clock.now() - settlesMs
    const young: LiveMessage[] = []
    let looked = 0
    for (const message of parts.index.entries()) {
      looked += 1
      if (looked % perTurn === 0) await nextTurn()
      if (message.receivedAt >= acceptedAfter && message.receivedAt < before) young.push(message)
    }
    for (let start = 0; start < young.length; start += atOnce) {
      const batch = young.slice(start, start + atOnce)
      const unknown = new Set(await parts.store.unaccepted(batch.map(({ id }) => id)))
      for (const message of batch) if (unknown.has(message.id)) await recoverMessage(parts, message)
    }
    acceptedAfter = before
  }

  return async () => {
    await recoverAccepted()
    const missing = new Map<MessageId, readonly number[]>()
    for await (const { id, lost, ended } of settledOrLost(parts, parts.clock.now() - settlesMs)) {
      for (const outcome of ended) recoverOutcome(parts, outcome)
      if (lost.length > 0) missing.set(id, lost)
    }
    for (const [id, rcpt] of missing) {
      if (!told.has(id)) parts.events.missing({ id, rcpt })
      told.add(id)
    }
    return missing
  }
}

/** A message some of whose open copies are not in the spool any more. */
export interface Unsettled {
  readonly id: MessageId
  /** Their final outcomes, as far as the spool's log has them. */
  readonly ended: readonly OutcomeRecord[]
  /** Of these there is none. */
  readonly lost: readonly number[]
}

/** All messages accepted before then that the store takes for open and the spool does not. */
export async function* settledOrLost(
  parts: {
    readonly index: Pick<LiveIndex, 'get' | 'isOnDisk'>
    readonly spool: Pick<Spool, 'outcomesOf'>
    readonly store: Pick<EventStore, 'openCopies' | 'auditedSince'>
  },
  acceptedBefore: number,
): AsyncGenerator<Unsettled> {
  const { index, spool, store } = parts
  const acceptedAfter = await store.auditedSince()
  let page = await store.openCopies({ acceptedAfter, acceptedBefore })
  for (;;) {
    const gone = [...page.messages]
      .map(([id, copies]) => ({ id, copies: copies.filter((copy) => !isOnDisk(index, id, copy)) }))
      .filter(({ copies }) => copies.length > 0)
    const outcomes = gone.length === 0 ? new Map() : await spool.outcomesOf(gone.map(({ id }) => id))
    for (const { id, copies } of gone) {
      const known: readonly OutcomeRecord[] = outcomes.get(id) ?? []
      const ended = copies.map((copy) => known.find((one) => one.recipient === copy && isFinal(one)))
      yield {
        id,
        ended: ended.filter((one) => one !== undefined).filter(({ at }) => at < acceptedBefore),
        lost: copies.filter((_, place) => ended[place] === undefined),
      }
    }
    if (page.next === undefined) return
    page = await store.openCopies({ acceptedAfter, acceptedBefore, after: page.next })
  }
}

function isOnDisk(index: Pick<LiveIndex, 'get' | 'isOnDisk'>, id: MessageId, copy: number): boolean {
  return index.get(id)?.pending.includes(copy) === true && index.isOnDisk(id)
}

async function recoverMessage({ spool, events }: AuditParts, { id, locator }: LiveMessage): Promise<void> {
  const { envelope } = await spool.read(locator)
  const { origin, reversePath: from, recipients } = envelope
  events.recovered({
    id,
    from,
    to: recipients.map(({ mailbox }) => mailbox),
    sizeBytes: locator.sizeBytes,
    listener: origin.listener,
    address: origin.address,
    user: origin.user,
    made: origin.kind === 'local' ? true : undefined,
  })
}

function recoverOutcome({ events }: AuditParts, { id, recipient, kind, stage, reply, reason }: OutcomeRecord): void {
  const said = reply === undefined ? reason : formatReply(reply)
  events.recovered({ id, rcpt: [recipient], outcome: kind, stage, reason: said })
}
