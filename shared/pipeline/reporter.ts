import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { DeliveryAttempt } from '../mail/disposition.ts'
import { composeDsn, wantsReport } from '../mail/dsn.ts'
import type { DsnAction, DsnRecipient } from '../mail/dsn.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Reply } from '../mail/reply.ts'
import { dueAt, noticeEnvelope } from '../mail/envelope.ts'
import type { RateGate } from '../queue/queues.ts'
import type { Tracing } from '../tracing/span.ts'
import { applyEdits, unwrapped } from '../mail/header-edit.ts'
import { derivedMessageId } from '../mail/message-id.ts'
import { limitReached } from './bounce-limits.ts'
import type { Pipeline } from './pipeline.ts'
import { mailboxOf } from './plan.ts'
import type { StageMessage } from './stage.ts'

/** Delivery status notifications (RFC 3461, RFC 3464): what the sender is told. They travel the same pipeline. */
export interface Reporter {
  reportSuccess(message: StageMessage, attempts: readonly DeliveryAttempt[]): Promise<void>
  reportFailure(message: StageMessage, attempts: readonly DeliveryAttempt[]): Promise<void>
  /** About addresses that lead to several mailboxes, when their sender asked to hear of success. */
  reportExpanded(message: ReportedMessage): Promise<void>
  /** `warning`: how many delay warnings there are with this one. */
  reportDelay(message: StageMessage, attempts: readonly DeliveryAttempt[], warning: number): Promise<void>
}

/** What of a message a report is made of. */
export type ReportedMessage = Pick<StageMessage, 'envelope' | 'edits' | 'sizeBytes' | 'stored'>

export interface ReporterParts {
  readonly configuration: Configuration
  readonly events: Events
  readonly clock: Clock
  readonly log: Logger
  readonly submit: Pipeline['submit']
  readonly rateGate: Pick<RateGate, 'take'>
  /** Absent: tracing is off. */
  readonly tracing?: Tracing
}

/** A returned message is attached whole up to this size, beyond it only its header section. */
const fullReturnBytes = 64 * 1024

export function createReporter(parts: ReporterParts): Reporter {
  const { events, clock } = parts

  /**
   * Stores a report about these recipients; its id follows from its cause, so that a repeated step makes the same message. The null
   * reverse-path gets none (RFC 5321 §4.5.5), nor does an address that has had too many.
   */
  async function report(
    message: ReportedMessage,
    action: DsnAction,
    recipients: readonly DsnRecipient[],
    cause: string,
  ): Promise<void> {
    const { envelope } = message
    const sender = envelope.reversePath
    if (sender === null || recipients.length === 0) return
    const { configuration, tracing } = parts
    const limit = await limitReached(parts, sender, envelope)
    if (limit !== undefined) return events.reportDropped({ id: envelope.id, to: sender, action, limit })
    const nowAt = clock.now()
    const id = derivedMessageId(envelope.id, `${action}.${cause}`)
    // It goes on with the trace of the message that it is about.
    const attributes = { 'sluice.message.id': id, 'sluice.report.about': envelope.id, 'sluice.report.action': action }
    const span = tracing?.join(envelope.trace, 'bounce', { attributes })
    const header = applyEdits(await message.stored.header(), unwrapped(message.edits))
    // What had to stay secret does not go back in the clear (RFC 8689 §5).
    const isWanted = envelope.dsn?.ret === 'full' && action === 'failed' && envelope.requireTls !== true
    const full = isWanted && message.sizeBytes <= fullReturnBytes && !recipients.some(isSecurityMatter)
    const content = composeDsn({
      action,
      id,
      hostname: configuration.hostname,
      nowAt,
      original: {
        id: envelope.id,
        reversePath: sender,
        receivedAt: envelope.receivedAt,
        envid: envelope.dsn?.envid,
        header,
        body: full ? (await message.stored.content()).subarray(message.stored.locator.headerBytes) : undefined,
      },
      recipients,
      willRetryUntil: action === 'delayed' ? dueAt(envelope) + configuration.queueTtlMs : undefined,
    })
    const notice = noticeEnvelope(id, sender, nowAt)
    try {
      await parts.submit(span === undefined ? notice : { ...notice, trace: span.traceParent }, content)
    } finally {
      span?.end()
    }
    events.reported({ id, about: envelope.id, to: sender, action })
  }

  function attempted(
    message: StageMessage,
    action: DsnAction,
    attempts: readonly DeliveryAttempt[],
    cause: string,
  ): Promise<void> {
    const { envelope } = message
    const lastAttemptAt = clock.now()
    const recipients = attempts.map(({ recipient: index, reply, remoteMta }): DsnRecipient => {
      const { original, orcpt } = envelope.recipients[index] ?? {}
      return { mailbox: mailboxOf(envelope, index), original, orcpt, reply, remoteMta, lastAttemptAt }
    })
    return report(message, action, recipients, `${cause}.${attempts.map((one) => one.recipient).join(',')}`)
  }

  function wanted(message: StageMessage, attempts: readonly DeliveryAttempt[], kind: 'failure' | 'delay' | 'success') {
    return attempts.filter((attempt) => {
      const recipient = message.envelope.recipients[attempt.recipient]
      return recipient !== undefined && wantsReport(recipient, kind)
    })
  }

  return {
    async reportSuccess(message, attempts) {
      const asked = wanted(message, attempts, 'success').filter((attempt) => attempt.dsnPassedOn !== true)
      await attempted(
        message,
        'delivered',
        asked.filter((one) => one.reached === 'local'),
        'final',
      )
      await attempted(
        message,
        'relayed',
        asked.filter((one) => one.reached === 'remote'),
        'final',
      )
    },
    async reportFailure(message, attempts) {
      const { id, reversePath } = message.envelope
      if (reversePath === null) {
        for (const attempt of attempts) {
          events.doubleBounced({ id, recipient: mailboxOf(message.envelope, attempt.recipient), reply: attempt.reply })
        }
      }
      await attempted(message, 'failed', wanted(message, attempts, 'failure'), 'final')
    },
    async reportExpanded(message) {
      if (!message.envelope.recipients.some(({ expanded }) => expanded === true)) return
      const lastAttemptAt = clock.now()
      const aliases = new Map<Mailbox, DsnRecipient>()
      for (const { original, orcpt, expanded } of message.envelope.recipients) {
        if (expanded !== true || original === undefined) continue
        aliases.set(original, { mailbox: original, orcpt, reply: expandedReply, lastAttemptAt })
      }
      await report(message, 'expanded', [...aliases.values()], 'accepted')
    },
    reportDelay: (message, attempts, warning) =>
      attempted(message, 'delayed', wanted(message, attempts, 'delay'), `warning${warning}`),
  }
}

const expandedReply: Reply = { code: 250, enhanced: '2.0.0', text: 'Passed on to several mailboxes' }

/** Refused for what it holds or who it is (RFC 3463 §3.8): what may be a virus is not sent on by us. */
function isSecurityMatter({ reply }: DsnRecipient): boolean {
  return reply.enhanced?.startsWith('5.7.') === true
}
