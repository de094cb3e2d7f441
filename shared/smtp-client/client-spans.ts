import type { Reply } from '../mail/reply.ts'
import { formatReply } from '../mail/reply.ts'
import type { Span, SpanAttributes } from '../tracing/span.ts'
import type { Answers } from './channel.ts'
import type { Endpoint } from './open-connection.ts'
import type { TlsSession } from './tls-session.ts'

/** Of the server that is connected to. */
export function endpointAttributes(endpoint: Endpoint): SpanAttributes {
  if (endpoint.kind === 'unix') return { 'server.address': endpoint.path, 'network.transport': 'unix' }
  const { host, port, address } = endpoint
  return {
    'server.address': host,
    'server.port': port,
    'network.transport': 'tcp',
    'network.peer.address': address,
    'network.peer.port': address === undefined ? undefined : port,
  }
}

export function tlsAttributes(tls: TlsSession | undefined): SpanAttributes {
  if (tls === undefined) return { 'tls.established': false }
  return { 'tls.established': true, 'tls.protocol.version': tls.version, 'tls.cipher': tls.cipher }
}

/** What the server said; its text may name people. A refusal, temporary or permanent, is an error. */
export function tellReply(span: Span | undefined, reply: Reply | undefined): void {
  if (span === undefined || reply === undefined) return
  span.set({ 'sluice.smtp.reply_code': reply.code, 'sluice.smtp.enhanced_code': reply.enhanced })
  span.setPersonal({ 'sluice.smtp.reply': formatReply(reply) })
  if (reply.code >= 400) span.fail(String(reply.code))
}

/** A command that is answered by itself. */
export async function inCommandSpan(
  transaction: Span | undefined,
  verb: string,
  say: () => Promise<Answers>,
): Promise<Answers> {
  const span = transaction?.child(verb, { kind: 'client' })
  try {
    const answers = await say()
    tellReply(span, answers.replies[0] ?? answers.lost)
    return answers
  } finally {
    span?.end()
  }
}

/** Spans of commands that go out together. */
export interface GroupSpans {
  /** Told of each reply as it comes. */
  heard(reply: Reply): void
  /** No more replies come. @param lost why some are missing */
  end(lost: Reply | undefined): void
}

/**
 * MAIL, RCPT and DATA that go out together (RFC 2920): their spans begin together, for they are sent in one piece; each ends with its own
 * reply, that of the recipients with the last of theirs. Undefined: the message is not traced.
 * @param before replies that belong to what goes before MAIL
 */
export function groupSpans(transaction: Span | undefined, recipients: number, before: number): GroupSpans | undefined {
  if (transaction === undefined) return undefined
  const attributes = { 'sluice.smtp.pipelined': true }
  const [mail, rcpt, data] = ['MAIL', 'RCPT', 'DATA'].map((verb) =>
    transaction.child(verb, { kind: 'client', attributes }),
  )
  const answered: Reply[] = []
  let count = -before
  const endRecipients = (lost?: Reply): void => {
    const refused = answered.filter(({ code }) => code >= 400)
    rcpt?.set({ 'sluice.recipients': recipients, 'sluice.recipients.refused': refused.length })
    tellReply(rcpt, refused[0] ?? answered[0] ?? lost)
    rcpt?.end()
  }
  return {
    heard(reply) {
      const index = count
      count += 1
      if (index === 0) endWith(mail, reply)
      else if (index === recipients + 1) endWith(data, reply)
      else if (index > 0 && index <= recipients) {
        answered.push(reply)
        if (index === recipients) endRecipients()
      }
    },
    end(lost) {
      if (count < 1) endWith(mail, lost)
      if (count <= recipients) endRecipients(lost)
      if (count <= recipients + 1) endWith(data, lost)
    },
  }
}

function endWith(span: Span | undefined, reply: Reply | undefined): void {
  tellReply(span, reply)
  span?.end()
}
