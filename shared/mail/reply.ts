/** An SMTP reply (RFC 5321 §4.2) with its enhanced status code (RFC 3463). Temporary or permanent is read from `code` only. */
export interface Reply {
  readonly code: number
  /** `class.subject.detail`, e.g. `5.1.1`; absent when a remote server gave none. */
  readonly enhanced?: string
  /** Text without codes; lines of a multi-line reply joined by `\n`. */
  readonly text: string
}

export function isPositive(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300
}

export function isTemporary(reply: Reply): boolean {
  return reply.code >= 400 && reply.code < 500
}

export function isPermanent(reply: Reply): boolean {
  return reply.code >= 500
}

/** One line, as on the wire but for the line end: `550 5.1.1 No such user`. */
export function formatReply(reply: Reply): string {
  return [reply.code, reply.enhanced, reply.text.replaceAll('\n', ' ')]
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
}

/** What `formatReply` wrote; undefined for anything else. */
export function parseReplyLine(line: string): Reply | undefined {
  const [, code, enhanced, text = ''] = /^([2-5]\d\d)(?: ([245]\.\d{1,3}\.\d{1,3}))?(?: (.*))?$/s.exec(line) ?? []
  if (code === undefined) return undefined
  return { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), text }
}

/** The status code of a DSN (RFC 3464 §2.3.4): the enhanced code, or its class with `.0.0`. */
export function statusOf(reply: Reply): string {
  return reply.enhanced ?? `${Math.trunc(reply.code / 100)}.0.0`
}

/**
 * As a session may say it that offers ENHANCEDSTATUSCODES: a refusal has an enhanced code, of the class of its code (RFC 2034 §4). Texts of
 * tables and filters and replies of other servers may have none, or another's.
 */
export function withStatusCode(reply: Reply): Reply {
  if (reply.code < 400) return reply
  const [, detail = '0.0'] = /^\d\.(.+)$/.exec(reply.enhanced ?? '') ?? []
  const enhanced = `${Math.trunc(reply.code / 100)}.${detail}`
  return enhanced === reply.enhanced ? reply : { ...reply, enhanced }
}

function reply(code: number, enhanced: string, text: string): Reply {
  return Object.freeze({ code, enhanced, text })
}

/** The replies Sluice gives itself. */
export const replies = {
  tryLater: reply(451, '4.3.0', 'Temporary server error, please try again later'),
  insufficientStorage: reply(452, '4.3.1', 'Insufficient system storage'),
  tooManyRecipients: reply(452, '4.5.3', 'Too many recipients'),
  messageTooBig: reply(552, '5.3.4', 'Message size exceeds the limit'),
  invalidRecipient: reply(550, '5.1.1', 'Invalid recipient'),
  senderBlocked: reply(550, '5.7.1', 'The recipient does not take mail from you'),
  relayDenied: reply(550, '5.7.1', 'Relaying denied'),
  routingLoop: reply(554, '5.4.6', 'Routing loop detected'),
  expired: reply(554, '5.4.7', 'Delivery time expired'),
  shuttingDown: reply(421, '4.3.2', 'Service shutting down, please try again later'),
} as const

/** Expected trouble that carries the reply to give; what is thrown otherwise always means `replies.tryLater`. */
export class SmtpError extends Error {
  readonly reply: Reply

  constructor(answer: Reply, options?: ErrorOptions) {
    super(formatReply(answer), options)
    this.name = 'SmtpError'
    this.reply = answer
  }
}
