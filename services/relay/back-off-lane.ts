import { randomUUID } from 'node:crypto'

import type { LaneSettings } from '../../shared/config/model.ts'
import type { DeliveryAttempt, Disposition } from '../../shared/mail/disposition.ts'
import { postpone } from '../../shared/mail/disposition.ts'
import { classifyReply } from '../../shared/mail/reply-class.ts'
import { isPositive, isTemporary } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { Entrance } from '../../shared/queue/queues.ts'

/** What a probe of a process that died may take longer than a message has. */
const graceMs = 10_000
/** A host that was down may be back soon: at first it is left alone no longer than this. */
const longestFirstDownMs = 15_000

/** Called when each host of the destination is left alone for at least so long, so that nobody was asked. */
export type OnClosed = (forMs: number) => void

/**
 * Does the work unless the destination asked for less, or could not be reached, a moment ago (`lane ... back-off`). Then the message waits
 * in Redis without being counted as tried. Learns from what the work finds. While Redis is away nobody is held up by this.
 */
export async function withBackOff(
  message: StageMessage,
  context: StageContext,
  destination: string,
  { backOff: pause = 'off' }: LaneSettings,
  work: (onClosed: OnClosed) => Promise<Disposition>,
): Promise<Disposition> {
  if (pause === 'off') return work(() => {})
  const { clock, configuration, events, log, signal } = context
  const { backOff } = context.queues
  const holder = randomUUID()
  const ttlMs = (configuration.pipeline.queues.get('relay')?.timeoutMs ?? 0) + graceMs
  const open: Entrance = { kind: 'open' }
  const entrance = await backOff.enter(destination, holder, ttlMs).catch(() => open)
  if (entrance.kind === 'wait') {
    const why = entrance.suspended ? 'is left alone for a while' : 'is tried by another message first'
    return postpone(entrance.waitMs, `${destination} asked for less or was down: it ${why}`, entrance.lane)
  }
  const startedAt = clock.now()
  let found: Found = { kind: 'nothing' }
  try {
    let closedForMs = 0
    const disposition = await work((forMs) => {
      closedForMs = forMs
    })
    if (disposition.kind === 'postpone' && closedForMs > 0) return await waitWithTheOthers(disposition, closedForMs)
    // What broke off because we end, or because the time of the queue is over, says nothing about the destination.
    if (!signal.aborted) found = findingOf(disposition)
    return disposition
  } finally {
    await learn(found).catch((error: unknown) => {
      log.warn({ destination, error: String(error) }, 'what a destination asked for was not passed on')
    })
  }

  /** Each of the others would come to find out the same: only what is first in line looks again. */
  async function waitWithTheOthers(alone: Disposition & { kind: 'postpone' }, forMs: number): Promise<Disposition> {
    const together = await backOff.closed(destination, forMs).catch(() => undefined)
    return together === undefined ? alone : postpone(together.waitMs, alone.reason, together.lane)
  }

  async function learn(now: Found): Promise<void> {
    if (pause !== 'off' && (now.kind === 'less' || now.kind === 'down')) {
      const firstMs = now.kind === 'less' ? pause.firstMs : Math.min(pause.firstMs, longestFirstDownMs)
      const forMs = await backOff.complained(destination, { ...pause, firstMs }, clock.now() - startedAt)
      if (forMs > 0) events.suspended({ id: message.envelope.id, destination, reply: now.reply, forMs })
    }
    if (entrance.kind === 'probe') await backOff.leave(destination, holder, now.kind === 'worked')
  }
}

type Found =
  | { readonly kind: 'less' | 'down'; readonly reply: Reply }
  | { readonly kind: 'worked' }
  /** Nobody was asked, or it is not about the destination. */
  | { readonly kind: 'nothing' }

function findingOf(disposition: Disposition): Found {
  if (disposition.kind !== 'settled') return { kind: 'nothing' }
  const { attempts } = disposition
  const less = attempts.find((attempt) => asksForLess(attempt))
  if (less !== undefined) return { kind: 'less', reply: less.reply }
  const down = attempts.find((attempt) => isUnreachable(attempt))
  if (down !== undefined) return { kind: 'down', reply: down.reply }
  return { kind: attempts.some((attempt) => tookPart(attempt)) ? 'worked' : 'nothing' }
}

/** 421, or a rate; but not of one mailbox, nor of the recipients of one message (RFC 3463 X.2, X.5). */
function asksForLess({ reply, remoteMta }: DeliveryAttempt): boolean {
  if (remoteMta === undefined || !isTemporary(reply) || /^4\.[25]\./.test(reply.enhanced ?? '')) return false
  const about = classifyReply(reply)
  return about === 'rate-limit' || (reply.code === 421 && about !== 'connection')
}

/** No host of it could be found or connected to. */
function isUnreachable({ reply, remoteMta }: DeliveryAttempt): boolean {
  return remoteMta === undefined && isTemporary(reply) && ['connection', 'dns'].includes(classifyReply(reply))
}

function tookPart({ reply, remoteMta }: DeliveryAttempt): boolean {
  return remoteMta !== undefined && (isPositive(reply) || classifyReply(reply) !== 'connection')
}
