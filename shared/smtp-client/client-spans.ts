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

/**
 * MAIL, RCPT and DATA that go out together (RFC 2920): their spans begin and end together, for the replies come in one piece. The result is
 * called with those, in order, and why none came.
 */
export function groupSpans(
  transaction: Span | undefined,
  recipients: number,
): (replies: readonly Reply[], lost: Reply | undefined) => void {
  if (transaction === undefined) return () => {}
  const attributes = { 'sluice.smtp.pipelined': true }
  const [mail, rcpt, data] = ['MAIL', 'RCPT', 'DATA'].map((verb) =>
    transaction.child(verb, { kind: 'client', attributes }),
  )
  return (replies, lost) => {
    const answered = replies.slice(1, 1 + recipients)
    const refused = answered.filter(({ code }) => code >= 400)
    tellReply(mail, replies[0] ?? lost)
    rcpt?.set({ 'sluice.recipients': recipients, 'sluice.recipients.refused': refused.length })
    tellReply(rcpt, refused[0] ?? answered[0] ?? lost)
    tellReply(data, replies[1 + recipients] ?? lost)
    for (const span of [mail, rcpt, data]) span?.end()
  }
}
