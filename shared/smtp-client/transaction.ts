import { isAscii } from '../mail/ascii-domain.ts'
import type { Reply } from '../mail/reply.ts'
import { isPermanent, isPositive } from '../mail/reply.ts'
import type { Answers, Channel } from './channel.ts'
import type { Capabilities } from './capabilities.ts'
import { lostReply } from './client-error.ts'
import { mailCommand, rcptCommand } from './commands.ts'
import type { ForwardPath, MailParameters } from './commands.ts'
import { BareLineEndError, DotStuffer } from './dot-stuffing.ts'
import type { TlsSession } from './tls-session.ts'
import type { SmtpTimeouts } from './timeouts.ts'
import type { Span } from '../tracing/span.ts'
import { groupSpans, inCommandSpan, tellReply } from './client-spans.ts'

/** The octets to send: in memory, or in chunks as they are read. CRLF line ends, not dot-stuffed. */
export type Content = readonly Buffer[] | AsyncIterable<Buffer>

/** One message for one or more recipients behind the same server. */
export interface Transaction {
  readonly mail: MailParameters
  readonly recipients: readonly ForwardPath[]
  /** Asked for once it is certain that the server wants the content. */
  readonly content: () => Content
  /** Asked for what to do at a server without 8BITMIME (RFC 6152 §3), before MAIL; absent: the content goes as it is. */
  readonly sevenBit?: () => Promise<SevenBitContent>
  /** Commands are told below it; absent: the message is not traced. */
  readonly span?: Span | undefined
}

/** What goes to a server without 8BITMIME, or why nothing does. */
export type SevenBitContent =
  | { readonly kind: 'content'; readonly sizeBytes: number; readonly read: () => Content }
  | { readonly kind: 'refused'; readonly reply: Reply }

export interface TransactionResult {
  /** One for each recipient, in order: the server's, or a temporary one of ours when none came. */
  readonly replies: readonly Reply[]
  /** The server offers DSN and was given the parameters. */
  readonly dsnPassedOn: boolean
  /** The connection ended before any content was sent: the same transaction may be tried on another one. */
  readonly untouched: boolean
  /** This server lacks what the message demands, and was told nothing of it: another one of the domain may have it. */
  readonly unfit?: true
  /** What was said, a line each; absent: it was not taken down. */
  readonly talk?: readonly string[]
}

export interface TransactionContext {
  readonly channel: Channel
  readonly capabilities: Capabilities
  /** Absent: plain text. */
  readonly tls?: TlsSession
  readonly protocol: 'smtp' | 'lmtp'
  readonly timeouts: SmtpTimeouts
  /** An earlier transaction was broken off: RSET goes first. */
  readonly reset: boolean
  /** Called when the final dot is on its way: from here on breaking off may make a duplicate. */
  readonly onContentSent: () => void
}

/** Whether the next transaction must begin with RSET. */
export interface TransactionOutcome extends TransactionResult {
  readonly needsReset: boolean
}

/**
 * MAIL, RCPT and DATA in one group when the server offers PIPELINING (RFC 2920), one by one otherwise, then the content.
 * Whatever the server does comes back as replies.
 * @throws what `content` throws; the connection is lost then, so that nothing half-sent counts as a message
 */
export async function transact(transaction: Transaction, context: TransactionContext): Promise<TransactionOutcome> {
  const international = transaction.recipients.some(({ address }) => !isAscii(address))
  if (!international || transaction.mail.smtpUtf8) return transactAll(transaction, context)
  if (!context.capabilities.smtpUtf8) return transactAscii(transaction, context)
  return transactAll({ ...transaction, mail: { ...transaction.mail, smtpUtf8: true } }, context)
}

/** The server takes ASCII addresses only: the others are refused, and do not keep these from getting the message. */
async function transactAscii(transaction: Transaction, context: TransactionContext): Promise<TransactionOutcome> {
  const { recipients } = transaction
  const taken = recipients.filter(({ address }) => isAscii(address))
  if (taken.length === 0) return concluded(transaction, noSmtpUtf8, { untouched: false, needsReset: context.reset })
  const outcome = await transactAll({ ...transaction, recipients: taken }, context)
  const replies = [...outcome.replies]
  return {
    ...outcome,
    replies: recipients.map(({ address }) => (isAscii(address) ? replies.shift() : undefined) ?? noSmtpUtf8),
  }
}

async function transactAll(asked: Transaction, context: TransactionContext): Promise<TransactionOutcome> {
  if (asked.sevenBit === undefined || context.capabilities.eightBitMime) return transactAsIs(asked, context)
  const fit = await asked.sevenBit()
  if (fit.kind === 'refused') return concluded(asked, fit.reply, { untouched: false, needsReset: context.reset })
  const mail = { ...asked.mail, sizeBytes: fit.sizeBytes }
  return transactAsIs({ mail, recipients: asked.recipients, content: fit.read, span: asked.span }, context)
}

async function transactAsIs(transaction: Transaction, context: TransactionContext): Promise<TransactionOutcome> {
  const unchanged = { untouched: false, needsReset: context.reset }
  if (lacksRequireTls(transaction, context)) return { ...concluded(transaction, noRequireTls, unchanged), unfit: true }
  const refusal = refusedBeforehand(transaction, context)
  if (refusal !== undefined) return concluded(transaction, refusal, unchanged)
  // Content in memory is looked through first: what must not be sent is refused while nothing has happened yet.
  const content = prepare(transaction.content())
  if (content.kind === 'refused') return concluded(transaction, content.reply, unchanged)

  const envelope = await (context.capabilities.pipelining ? sendGroup : sendInTurn)(transaction, context)
  if (envelope.kind === 'ended') return envelope.outcome
  const { accepted } = envelope
  const count = context.protocol === 'lmtp' ? accepted.length : 1
  const answers = context.channel.expect(count, context.timeouts.finalMs, 'sending the end of the message')
  const span = transaction.span?.child('content', {
    kind: 'client',
    attributes: { 'messaging.message.body.size': transaction.mail.sizeBytes },
  })
  try {
    const sent = await sendContent(content, context)
    if (sent.complete) context.onContentSent()
    const answered = await answers
    tellReply(span, answered.replies[0] ?? answered.lost)
    return withFinalReplies(envelope, answered, sent, context)
  } finally {
    span?.end()
  }
}

type Prepared =
  | { readonly kind: 'whole'; readonly pieces: readonly Buffer[] }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Buffer> }
  | { readonly kind: 'refused'; readonly reply: Reply }

function prepare(content: Content): Prepared {
  if (!Array.isArray(content)) return { kind: 'stream', chunks: content as AsyncIterable<Buffer> }
  const stuffer = new DotStuffer()
  const pieces: Buffer[] = []
  try {
    for (const chunk of content as readonly Buffer[]) pieces.push(...stuffer.push(chunk))
    pieces.push(stuffer.end())
  } catch (error) {
    if (error instanceof BareLineEndError) return { kind: 'refused', reply: bareLineEnd }
    throw error
  }
  return { kind: 'whole', pieces }
}

/** RFC 5321 §2.3.8: CR and LF only as CRLF. Inbound refuses such content, so this is damage or a bug. */
const bareLineEnd: Reply = {
  code: 554,
  enhanced: '5.6.0',
  text: 'The content holds a carriage return or line feed that is no line end; it is not sent on',
}

/** RFC 8689 §4.2.1. */
const noRequireTls: Reply = {
  code: 550,
  enhanced: '5.7.30',
  text: 'REQUIRETLS support required: the next server does not offer it over TLS with a trusted certificate',
}

/** RFC 6531 §3.5. */
export const noSmtpUtf8: Reply = {
  code: 553,
  enhanced: '5.6.7',
  text: 'The next server does not take internationalised addresses or headers',
}

/** RFC 8689 §4.2.1: only over TLS with a trusted certificate, to a server that promises the same. */
function lacksRequireTls({ mail }: Transaction, { capabilities: offered, tls }: TransactionContext): boolean {
  return mail.requireTls === true && !(offered.requireTls && tls !== undefined && tls.distrust === undefined)
}

function refusedBeforehand(transaction: Transaction, context: TransactionContext): Reply | undefined {
  const { mail, recipients } = transaction
  const { capabilities: offered } = context
  if (mail.smtpUtf8 && !offered.smtpUtf8) return noSmtpUtf8
  if (offered.maxSizeBytes !== undefined && mail.sizeBytes > offered.maxSizeBytes)
    return { code: 552, enhanced: '5.3.4', text: `The next server takes at most ${offered.maxSizeBytes} octets` }
  return recipients.length === 0 ? { code: 554, enhanced: '5.5.1', text: 'No recipients' } : undefined
}

/** The server wants the content (354), or the transaction is over. */
type EnvelopeAnswer =
  | { readonly kind: 'wanted'; readonly replies: readonly Reply[]; readonly accepted: readonly number[] }
  | { readonly kind: 'ended'; readonly outcome: TransactionOutcome }

async function sendGroup(transaction: Transaction, context: TransactionContext): Promise<EnvelopeAnswer> {
  const { channel, capabilities, timeouts } = context
  let lines = context.reset ? 'RSET\r\n' : ''
  lines += mailCommand(transaction.mail, capabilities)
  for (const recipient of transaction.recipients) lines += rcptCommand(recipient, capabilities)
  lines += 'DATA\r\n'
  const first = context.reset ? 1 : 0
  const count = first + 2 + transaction.recipients.length
  const spans = groupSpans(transaction.span, transaction.recipients.length, first)
  channel.onReply = spans?.heard
  const answers = await channel.exchange(lines, count, timeouts.envelopeMs, 'sending the envelope')
  channel.onReply = undefined
  spans?.end(answers.lost)
  const [mail, ...rest] = answers.replies.slice(first)
  if (mail !== undefined && !isPositive(mail)) {
    // 354 to a transaction that never began: a lone dot could become an empty message here, so no dot at all.
    if (rest.at(-1)?.code === 354) channel.lose(mail)
    return ended(concluded(transaction, mail, closingOf(context, [mail])))
  }
  if (mail === undefined || answers.lost !== undefined) return interrupted(transaction, context, answers, rest)
  const data = rest.pop()
  return afterData(context, rest, data)
}

async function sendInTurn(transaction: Transaction, context: TransactionContext): Promise<EnvelopeAnswer> {
  const { channel, capabilities, timeouts } = context
  const say = (line: string, timeoutMs: number): Promise<Answers> =>
    inCommandSpan(transaction.span, line.slice(0, 4), () =>
      channel.exchange(line, 1, timeoutMs, `sending ${line.slice(0, 4)}`),
    )
  if (context.reset) await say('RSET\r\n', timeouts.envelopeMs)
  const mail = await say(mailCommand(transaction.mail, capabilities), timeouts.envelopeMs)
  const mailReply = mail.replies[0]
  if (mailReply === undefined) return interrupted(transaction, context, mail, [])
  if (!isPositive(mailReply)) return ended(concluded(transaction, mailReply, closingOf(context, [mailReply])))
  const replies: Reply[] = []
  for (const recipient of transaction.recipients) {
    const answer = await say(rcptCommand(recipient, capabilities), timeouts.envelopeMs)
    if (answer.replies[0] === undefined) return interrupted(transaction, context, answer, replies)
    replies.push(answer.replies[0])
  }
  if (!replies.some(isPositive)) return afterData(context, replies, undefined)
  const data = await say('DATA\r\n', timeouts.dataMs)
  if (data.replies[0] === undefined) return interrupted(transaction, context, data, replies)
  return afterData(context, replies, data.replies[0])
}

/** @param data the reply to DATA; absent when DATA was not sent */
async function afterData(
  context: TransactionContext,
  replies: readonly Reply[],
  data: Reply | undefined,
): Promise<EnvelopeAnswer> {
  const accepted = replies.flatMap((reply, index) => (isPositive(reply) ? [index] : []))
  const wanted = data?.code === 354
  if (wanted && accepted.length > 0) return { kind: 'wanted', replies, accepted }
  if (wanted) await endEmptyContent(context)
  // Positive but not 354 is no answer to DATA: the server has lost its way.
  const forAccepted =
    data === undefined || data.code < 400 ? lostReply(`${context.channel.peer} did not take the content`) : data
  const final = replies.map((reply) => (isPositive(reply) ? forAccepted : reply))
  return ended({ replies: final, dsnPassedOn: false, ...closingOf(context, final) })
}

/** 354 although no recipient was accepted: RFC 2920 §3.1 asks for a lone dot. Its answer concerns nobody. */
async function endEmptyContent({ channel, timeouts }: TransactionContext): Promise<void> {
  await channel.exchange('.\r\n', 1, timeouts.finalMs, 'ending an empty message')
}

/** What became of the content on our side; `refusal` when it must not be sent at all. */
interface Sent {
  readonly complete: boolean
  readonly refusal?: Reply
}

async function sendContent(
  content: Exclude<Prepared, { kind: 'refused' }>,
  { channel, timeouts }: TransactionContext,
): Promise<Sent> {
  if (content.kind === 'whole') {
    await channel.write(gathered(content.pieces), timeouts.blockMs)
    return { complete: true }
  }
  const stuffer = new DotStuffer()
  try {
    for await (const chunk of content.chunks) {
      if (!channel.isOpen) return { complete: false }
      await channel.write(stuffer.push(chunk), timeouts.blockMs)
    }
    if (!channel.isOpen) return { complete: false }
    await channel.write([stuffer.end()], timeouts.blockMs)
    return { complete: true }
  } catch (error) {
    // Never the final dot after half a message.
    channel.lose(lostReply('the content could not be read'))
    if (error instanceof BareLineEndError) return { complete: false, refusal: bareLineEnd }
    throw error
  }
}

/** Small pieces cost more as entries of a writev than as a copy. */
function gathered(pieces: readonly Buffer[]): readonly Buffer[] {
  let total = 0
  for (const piece of pieces) total += piece.length
  return total <= 65_536 ? [Buffer.concat(pieces, total)] : pieces
}

function withFinalReplies(
  { accepted, replies }: Extract<EnvelopeAnswer, { kind: 'wanted' }>,
  answers: Answers,
  sent: Sent,
  context: TransactionContext,
): TransactionOutcome {
  const last = answers.replies.at(-1)
  // A server that answers 421 and hangs up means it for all that still wait.
  const lost = answers.lost ?? noReply(context)
  const missing = last?.code === 421 ? last : (hastyRefusal(context) ?? (sent.complete ? inDoubt(lost) : lost))
  const final = [...replies]
  for (const [position, recipient] of accepted.entries()) {
    const answer = answers.replies[context.protocol === 'lmtp' ? position : 0] ?? missing
    // A 250 to a message that was not sent to its end is no 250.
    final[recipient] = sent.refusal ?? (isPositive(answer) && !sent.complete ? missing : answer)
  }
  return { replies: final, dsnPassedOn: context.capabilities.dsn, untouched: false, needsReset: false }
}

/** The message was sent to its end: whether the server has it nobody knows, and sent again it may be there twice (RFC 1047). */
function inDoubt(lost: Reply): Reply {
  return { ...lost, text: `${lost.text}; it may have taken the message` }
}

/** Said in one breath with 354: it is about the content all the same. */
function hastyRefusal({ channel: { unasked } }: TransactionContext): Reply | undefined {
  return unasked !== undefined && unasked.code >= 400 ? unasked : undefined
}

function noReply({ channel }: TransactionContext): Reply {
  return lostReply(`no reply from ${channel.peer}`)
}

/** The connection ended inside the envelope; a 421 that came first says why. */
function interrupted(
  transaction: Transaction,
  { channel }: TransactionContext,
  answers: Answers,
  replies: readonly Reply[],
): EnvelopeAnswer {
  const last = answers.replies.at(-1)
  const why = last?.code === 421 ? last : (answers.lost ?? lostReply(`lost connection with ${channel.peer}`))
  const final = transaction.recipients.map((_, index) => {
    const reply = replies[index]
    return reply !== undefined && isPermanent(reply) ? reply : why
  })
  return ended({ replies: final, dsnPassedOn: false, untouched: true, needsReset: false })
}

function ended(outcome: TransactionOutcome): EnvelopeAnswer {
  return { kind: 'ended', outcome }
}

/** After a transaction without content: a server that said 421 is closing, all others want RSET before the next MAIL. */
function closingOf({ channel }: TransactionContext, replies: readonly Reply[]): After {
  const closing = replies.some((reply) => reply.code === 421)
  return { untouched: closing, needsReset: channel.isOpen && !closing }
}

type After = Pick<TransactionOutcome, 'untouched' | 'needsReset'>

function concluded(transaction: Transaction, reply: Reply, after: After): TransactionOutcome {
  return { replies: transaction.recipients.map(() => reply), dsnPassedOn: false, ...after }
}
