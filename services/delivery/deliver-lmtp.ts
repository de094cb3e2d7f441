import type { LocalAction } from '../../shared/config/model.ts'
import { isAscii } from '../../shared/mail/ascii-domain.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import { formatReply, isPositive, isTemporary, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { OpenError } from '../../shared/smtp-client/client-error.ts'
import type { ForwardPath } from '../../shared/smtp-client/commands.ts'
import { endpointAttributes, tellReply } from '../../shared/smtp-client/client-spans.ts'
import { errorType } from '../../shared/tracing/span.ts'
import { openConnection, peerName, plainText } from '../../shared/smtp-client/open-connection.ts'
import { outgoingContent } from '../../shared/smtp-client/outgoing-content.ts'
import { ConnectionPool } from '../../shared/smtp-client/pool.ts'
import type { PooledResult } from '../../shared/smtp-client/pool.ts'
import { sendInParts } from '../../shared/smtp-client/send-in-parts.ts'
import { lmtpEndpoint } from '../../shared/smtp-client/lmtp-endpoint.ts'
import { localUser, userPath } from './local-user.ts'
import { messageFields } from './message-fields.ts'
import { recipientFields, loopReply } from './trace-fields.ts'

type LmtpMethod = LocalAction['method'] & { readonly kind: 'lmtp' }

/** What of its surroundings the delivery uses. */
export type LmtpContext = Pick<StageContext, 'configuration' | 'signal' | 'span'>

/**
 * A mailbox server is near: shorter than over the Internet, and shorter than the queue's time-out, so that the answers
 * some recipients have got already are never lost with those of the others.
 */
const lmtpTimeouts = { connectMs: 10_000, greetingMs: 30_000, helloMs: 30_000, envelopeMs: 60_000, finalMs: 240_000 }

/** Delivers by LMTP (RFC 2033): all recipients of a message in one transaction, an answer for each. */
export class LmtpDelivery {
  readonly #pool: ConnectionPool

  constructor(pool = new ConnectionPool()) {
    this.#pool = pool
  }

  async deliver(
    message: StageMessage,
    action: LocalAction,
    method: LmtpMethod,
    context: LmtpContext,
  ): Promise<readonly DeliveryAttempt[]> {
    const { attempts, open } = await sortOutLoops(message)
    if (open.length === 0) return attempts
    const paths = wirePaths(message, open, action, method, context)
    const delivered = await this.#send(message, open, paths, method, context)
    return [...attempts, ...delivered]
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  async #send(
    message: StageMessage,
    open: readonly number[],
    paths: WirePaths,
    method: LmtpMethod,
    context: LmtpContext,
  ): Promise<readonly DeliveryAttempt[]> {
    const { envelope } = message
    const endpoint = lmtpEndpoint(method.destination, context.configuration.pipeline.sockets)
    const only = open.length === 1 ? recipientOf(message, open[0] ?? 0) : undefined
    // Return-Path is the LMTP server's to add: it makes the final delivery (RFC 5321 §4.4).
    const fields = only === undefined ? '' : recipientFields(only)
    const content = await outgoingContent(message.stored, message.edits, fields)
    const span = context.span?.child('LMTP transaction', {
      kind: 'client',
      attributes: { ...endpointAttributes(endpoint), 'network.protocol.name': 'lmtp' },
    })
    const connect = (signal: AbortSignal) =>
      openConnection({
        endpoint,
        protocol: 'lmtp',
        helo: context.configuration.hostname,
        tls: plainText,
        timeouts: lmtpTimeouts,
        signal,
        span,
        talk: context.configuration.pipeline.events.smtpTalk === true,
      })
    const transaction = {
      mail: {
        reversePath: envelope.reversePath,
        sizeBytes: content.sizeBytes,
        eightBit: envelope.eightBit === true,
        // The header may hold UTF-8 as it likes: this is the last hop, and it stores octets.
        smtpUtf8: !isAscii(envelope.reversePath ?? ''),
        ...(envelope.dsn === undefined ? {} : { dsn: envelope.dsn }),
      },
      recipients: paths.wire,
      content: content.read,
      span,
    }
    let result: PooledResult
    try {
      result = await sendInParts(transaction, (part) =>
        this.#pool.send(method.destination, connect, part, context.signal),
      )
      tellReply(span, result.replies.find((reply) => !isPositive(reply)) ?? result.replies[0])
    } catch (error) {
      span?.fail(errorType(error))
      if (!(error instanceof OpenError)) throw error
      return open.map((recipient) => ({ recipient, reply: asTemporary(error.reply), reached: 'local' }))
    } finally {
      span?.end()
    }
    return open.map((recipient, position) => ({
      recipient,
      reply: result.replies[paths.positionOf.get(recipient) ?? -1] ?? replies.tryLater,
      reached: 'local',
      remoteMta: peerName(endpoint),
      ...(position === 0 && result.talk !== undefined ? { talk: result.talk } : {}),
    }))
  }
}

interface WirePaths {
  /** Each path once: a server that merges equal ones would answer too few times. */
  readonly wire: readonly ForwardPath[]
  /** Position in `wire` by index of the recipient. */
  readonly positionOf: ReadonlyMap<number, number>
}

async function sortOutLoops(
  message: StageMessage,
): Promise<{ readonly attempts: readonly DeliveryAttempt[]; readonly open: readonly number[] }> {
  const fields = await messageFields(message)
  const attempts: DeliveryAttempt[] = []
  const open: number[] = []
  for (const recipient of message.pending) {
    const reply = loopReply(fields, recipientOf(message, recipient))
    if (reply === undefined) open.push(recipient)
    else attempts.push({ recipient, reply, reached: 'local' })
  }
  return { attempts, open }
}

/** RCPT names the bare user, or with `rcpt-to` the whole address (SMTPD_CONF section 8.1). */
function wirePaths(
  message: StageMessage,
  open: readonly number[],
  action: LocalAction,
  method: LmtpMethod,
  { configuration }: LmtpContext,
): WirePaths {
  const wire: ForwardPath[] = []
  const positions = new Map<string, number>()
  const positionOf = new Map<number, number>()
  for (const index of open) {
    const recipient = recipientOf(message, index)
    const address = method.rcptTo
      ? recipient.mailbox
      : userPath(action.user ?? localUser(recipient.mailbox, configuration.subAddressDelimiter).name)
    const position = positions.get(address) ?? wire.push(forwardPathOf(address, recipient)) - 1
    positions.set(address, position)
    positionOf.set(index, position)
  }
  return { wire, positionOf }
}

function forwardPathOf(address: string, recipient: Recipient): ForwardPath {
  return { address, ...(recipient.orcpt === undefined ? {} : { orcpt: recipient.orcpt }) }
}

/** A mailbox server that refuses to talk at all is out of order, whatever code it says so with. */
function asTemporary(reply: Reply): Reply {
  return isTemporary(reply) ? reply : { code: 451, enhanced: '4.3.0', text: formatReply(reply) }
}

function recipientOf(message: StageMessage, index: number): Recipient {
  const recipient = message.envelope.recipients[index]
  if (recipient === undefined) throw new RangeError(`no recipient ${index}`)
  return recipient
}
