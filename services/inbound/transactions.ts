import { compileMailboxes } from '../../shared/config/mailbox-pattern.ts'
import { settle } from '../../shared/config/settle.ts'
import type { OriginFields } from '../../shared/events.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import { copyKey } from '../../shared/mail/envelope.ts'
import { formatUpstream } from '../../shared/mail/envelope.ts'
import type { Envelope, Origin, Recipient, Upstream } from '../../shared/mail/envelope.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { EarlyDecision, Unaccepted } from '../../shared/pipeline/before-accept.ts'
import type { IncomingContent } from '../../shared/spool/spool.ts'
import type { Offence } from '../../shared/config/rate-rules.ts'
import { acceptanceEdits, envelopeOf, tagsOf, traceFields } from './acceptance.ts'
import type { Transaction } from './acceptance.ts'
import type { Chunk } from './chunk.ts'
import type { TooMuch } from './client-watch.ts'
import type { CheckedContent, ContentSink } from './content-checks.ts'
import { FilteredContent } from './filtered-content.ts'
import type { HeaderVerdict } from './header-checks.ts'
import type { HeaderFacts } from './header-watch.ts'
import { bothFindings } from './match-rules.ts'
import type { Findings } from './match-rules.ts'
import { addressOf, parseMail, parseRcpt } from './mail-command.ts'
import type { CommandRules, MailCommand, RcptCommand } from './mail-command.ts'
import { MessageReceiver, replyTo } from './message-receiver.ts'
import type { Reception } from './reception.ts'
import type { SaidPath } from '../../shared/restrictions/question.ts'
import type { RestrictionRefusal, SessionRestrictions } from './restrictions/session-restrictions.ts'
import type { SessionFilters } from './session-filters.ts'
import type { SessionTrace } from './session-trace.ts'
import { traceIdOf } from '../../shared/tracing/span.ts'
import type { Span } from '../../shared/tracing/span.ts'
import { parseXforward } from './xforward.ts'
import type { SmtpTalk } from '../../shared/smtp-talk.ts'
import { subjectIn } from './subject.ts'

/** What a transaction asks of its session. */
export interface Client {
  readonly id: string
  /** How long it has been connected. */
  readonly sessionMs: number
  /** Our own name in this session. */
  readonly hostname: string
  readonly address: string
  readonly port: number
  readonly helo: string
  /** EHLO was said, not HELO. */
  readonly extended: boolean
  readonly tls: { readonly version: string; readonly cipher: string } | undefined
  readonly user: string | undefined
  /** A trusted client spoke for this one (XCLIENT). */
  readonly forwarded: boolean
  /** Absent: tracing is off. */
  readonly trace: SessionTrace | undefined
  readonly talk: SmtpTalk | undefined
  readonly filters: SessionFilters | undefined
  readonly restrictions: SessionRestrictions | undefined
  /** Verified name by DNS, bounded in time. */
  verifiedName(): Promise<string | undefined>
  /** Sends a reply, calls `told`, and reads the next command. */
  answer(reply: Reply, next: () => void, told?: () => void): void
  /** The last reply of the session. */
  drop(reply: Reply): void
  /** Notes what strangers should not do often. */
  offend(offence: Offence): void
  /** Breaks off, and reads nothing more. */
  cutOff(reply: Reply): void
}

const accepted: Reply = { code: 250, enhanced: '2.1.0', text: 'Ok' }
const acceptedRecipient: Reply = { code: 250, enhanced: '2.1.5', text: 'Ok' }
const badSequence: Reply = { code: 503, enhanced: '5.5.1', text: 'Bad sequence of commands' }
const nested: Reply = { code: 503, enhanced: '5.5.1', text: 'Nested MAIL command' }
const noMail: Reply = { code: 503, enhanced: '5.5.1', text: 'Need MAIL command first' }
const noRecipients: Reply = { code: 503, enhanced: '5.5.1', text: 'No valid recipients' }
const noneLeft: Reply = { code: 554, enhanced: '5.5.1', text: 'No valid recipients' }
const noArgument: Reply = { code: 501, enhanced: '5.5.4', text: 'DATA takes no argument' }
const pipelined: Reply = { code: 554, enhanced: '5.5.0', text: 'Message sent before it was asked for (RFC 2920)' }
const tooManyMessages: Reply = { code: 452, enhanced: '4.7.0', text: 'Too many messages in this session, reconnect' }
const goAhead: Reply = { code: 354, text: 'End data with <CR><LF>.<CR><LF>' }
const misconfigured: Reply = { code: 451, enhanced: '4.3.5', text: 'Server configuration error' }
const foreignSender: Reply = { code: 553, enhanced: '5.7.1', text: 'Sender address is not yours to use' }

/** A message on its way to the spool. */
interface Acceptance {
  readonly sizeBytes: number
  readonly messageId: string | undefined
  readonly subject: string | undefined
  readonly tookMs: number
}

interface Incoming {
  readonly content: IncomingContent
  readonly filtered: FilteredContent | undefined
  readonly checked: CheckedContent | undefined
}

/** The mail transactions of one session (RFC 5321 §3.3): MAIL, RCPT and DATA. */
export class MailTransactions {
  /** Messages accepted so far. */
  messages = 0
  /** Recipients refused so far, those above the limit of one transaction excepted. */
  refusedRecipients = 0
  readonly #reception: Reception
  readonly #client: Client
  #transaction: Transaction | undefined
  #receiver: MessageReceiver | undefined
  /** Told by a content filter, for the next message. */
  #upstream: Upstream | undefined
  /** A restriction refused a recipient of this transaction. */
  #anyRefused = false
  #closed = false
  /** While the filter is asked about a message. */
  #asking: AbortController | undefined
  #mayWait = true

  constructor(reception: Reception, client: Client) {
    this.#reception = reception
    this.#client = client
  }

  get isOpen(): boolean {
    return this.#transaction !== undefined
  }

  /** Inside DATA, or while the message is being put on disk. */
  get receiver(): MessageReceiver | undefined {
    return this.#receiver
  }

  reset(): void {
    this.#transaction?.span?.end()
    this.#transaction = undefined
    this.#upstream = undefined
    if (this.#receiver?.chunked !== true) return
    this.#receiver.refuse(replies.tryLater)
    this.#receiver = undefined
  }

  /** XFORWARD, outside a transaction: false when it is not understood. */
  tellUpstream(argument: string): boolean {
    const upstream = parseXforward(argument, this.#upstream)
    if (upstream === undefined) return false
    this.#upstream = upstream
    return true
  }

  /** The client is gone: what it had begun to send is forgotten. */
  close(): void {
    this.#closed = true
    this.waitNoMore('the client is gone')
    this.#receiver?.refuse(replies.tryLater)
    this.#receiver = undefined
    this.#transaction?.span?.fail('connection_closed')
    this.#transaction?.span?.end()
    this.#transaction = undefined
  }

  /** A message that waits for the filter goes on without its decision, and so do those that come behind it. */
  waitNoMore(reason: string): void {
    this.#mayWait = false
    this.#asking?.abort(reason)
  }

  /** Why no transaction can begin now. */
  mayBegin(): Reply | undefined {
    if (this.#transaction !== undefined) return nested
    return this.messages >= this.#reception.configuration.maxMailsPerSession ? tooManyMessages : undefined
  }

  /** After `mayBegin`. */
  mail(argument: string): Reply | Promise<Reply> {
    const { restrictions } = this.#client
    const command = parseMail(argument, this.#rules(restrictions?.takesBare.sender))
    if (command.kind === 'refused') return this.#refuse('mail', command.reply)
    if (restrictions === undefined) return this.#mailUnlessForeign(command)
    return this.#mailRestricted(restrictions, command, saidPath(argument, 'FROM', command.reversePath))
  }

  async #mailRestricted(restrictions: SessionRestrictions, command: MailCommand, sender: SaidPath): Promise<Reply> {
    const refusal = await this.#restriction(() => restrictions.mail(sender))
    if (refusal === undefined) return this.#mailUnlessForeign(command)
    return this.#refuse('mail', refusal.reply, command.reversePath, undefined, refusal.by)
  }

  #mailUnlessForeign(command: MailCommand): Reply | Promise<Reply> {
    const allowed = this.#maySendAs(command.reversePath)
    if (typeof allowed !== 'boolean') return this.#mailOnceAllowed(command, allowed)
    return allowed ? this.#begin(command) : this.#refuse('mail', foreignSender, command.reversePath)
  }

  async #mailOnceAllowed(command: MailCommand, answer: Promise<boolean>): Promise<Reply> {
    let allowed: boolean
    try {
      allowed = await answer
    } catch (error) {
      return this.#refuse('mail', this.#failed(error), command.reversePath)
    }
    return allowed ? this.#begin(command) : this.#refuse('mail', foreignSender, command.reversePath)
  }

  rcpt(argument: string): Reply | Promise<Reply> {
    const transaction = this.#transaction
    if (transaction === undefined) return noMail
    if (this.#receiver !== undefined) return badSequence
    const { restrictions } = this.#client
    const command = parseRcpt(argument, this.#rules(restrictions?.takesBare.recipient, transaction.mail.smtpUtf8))
    if (command.kind === 'refused') return this.#refuseRecipient(command.reply, argument)
    if (transaction.forwardPaths.has(command.mailbox)) return acceptedRecipient
    if (transaction.forwardPaths.size >= this.#reception.configuration.maxRecipients) return replies.tooManyRecipients
    if (restrictions === undefined) return this.#resolve(transaction, command)
    return this.#rcptRestricted(restrictions, transaction, command, saidPath(argument, 'TO', command.mailbox))
  }

  async #rcptRestricted(
    restrictions: SessionRestrictions,
    transaction: Transaction,
    command: RcptCommand,
    recipient: SaidPath,
  ): Promise<Reply> {
    const refusal = await this.#restriction(() => restrictions.rcpt(recipient))
    if (refusal === undefined) return this.#resolve(transaction, command)
    this.#anyRefused = true
    return this.#refuseRecipient(refusal.reply, recipient.text, refusal.by)
  }

  /** `undefined`: it does not refuse. A table that cannot be read is a refusal for now. */
  async #restriction(
    ask: () => Promise<RestrictionRefusal | undefined>,
  ): Promise<{ readonly reply: Reply; readonly by?: string } | undefined> {
    try {
      return await ask()
    } catch (error) {
      return { reply: this.#failed(error) }
    }
  }

  /** Why DATA cannot follow now. */
  mayReceive(argument: string): Reply | undefined {
    if (argument !== '') return noArgument
    if (this.#transaction === undefined || this.#receiver !== undefined) return badSequence
    if (this.#transaction.recipients.length > 0) return undefined
    return this.#anyRefused ? noneLeft : noRecipients
  }

  /** After `mayReceive`: why a restriction refuses DATA; no promise when none is asked. */
  mayReceiveRestricted(hasMore: () => boolean): Promise<Reply | undefined> | undefined {
    const asked = this.#client.restrictions?.data()
    if (asked === undefined) return undefined
    return this.#restriction(() => asked).then((refusal) => {
      if (refusal === undefined) return undefined
      const reply = this.#refuse('data', refusal.reply, undefined, undefined, refusal.by)
      // What follows would be the message, and must not be taken for commands.
      if (hasMore()) this.#client.cutOff(reply)
      return reply
    })
  }

  /** The reply to DATA; with 354 the receiver of what follows. `hasMore`: the client did not wait for it. */
  data(hasMore: boolean): { readonly reply: Reply; readonly receiver?: MessageReceiver } {
    const transaction = this.#transaction
    if (transaction === undefined) return { reply: badSequence }
    if (hasMore) {
      this.#client.cutOff(this.#refuse('data', pipelined))
      return { reply: pipelined }
    }
    try {
      this.#receiver = this.#receive(transaction, this.#reception.pipeline.receive())
      return { reply: goAhead, receiver: this.#receiver }
    } catch (error) {
      this.reset()
      return { reply: this.#failed(error) }
    }
  }

  /** Why a chunk cannot follow now. */
  mayTakeChunk(): Reply | undefined {
    return this.#receiver === undefined ? this.mayReceive('') : undefined
  }

  /** After `mayTakeChunk`: the message that a chunk belongs to (RFC 3030 §2), or why there is none. */
  chunkReceiver(): MessageReceiver | Reply {
    const transaction = this.#transaction
    if (transaction === undefined) return badSequence
    try {
      this.#receiver ??= this.#receive(transaction, this.#reception.pipeline.receive(), true)
      return this.#receiver
    } catch (error) {
      this.reset()
      return this.#failed(error)
    }
  }

  /** The reply to a chunk that is in, when it is not the last. A message that is refused ends here, whatever chunks follow. */
  async chunkTaken({ octets }: Chunk): Promise<Reply> {
    const receiver = this.#receiver
    await receiver?.busy
    if (receiver === undefined || this.#closed) return replies.tryLater
    if (receiver.fault === undefined) return { code: 250, enhanced: '2.0.0', text: `${octets} octets received` }
    const reply = this.#refuse('data', receiver.fault)
    this.reset()
    return reply
  }

  /** The last chunk is in: the message is taken or refused as at the end of DATA. */
  async lastChunkTaken(next: () => void): Promise<void> {
    const receiver = this.#receiver
    await receiver?.busy
    receiver?.complete()
    receiver?.finish(next)
  }

  /** Counts one more, where `rate` is for this listener. */
  #take(unit: 'messages' | 'recipients'): TooMuch | (() => void) | undefined {
    const { id, address, user } = this.#client
    return this.#reception.watch?.take(unit, { session: id, address, user })
  }

  /** A filter refused the command; `argument` is that of RCPT. */
  refusedByFilter(stage: 'mail' | 'rcpt' | 'data', reply: Reply, argument: string): void {
    if (stage === 'rcpt') this.#refuseRecipient(reply, argument)
    else this.#refuse(stage, reply)
  }

  async #begin(mail: MailCommand): Promise<Reply> {
    const taken = this.#take('messages')
    if (typeof taken === 'object') return this.#refuse('mail', taken.reply, mail.reversePath, undefined, taken.by)
    const origin = await this.#origin()
    let reversePath: ReversePath
    try {
      reversePath = await this.#writtenSender(mail.reversePath, origin)
    } catch (error) {
      return this.#refuse('mail', this.#failed(error), mail.reversePath)
    }
    this.#anyRefused = false
    const id = newMessageId(this.#reception.clock.now())
    const span = this.#client.trace?.transaction(id)
    span?.setPersonal({ 'sluice.mail.from': reversePath ?? '<>' })
    this.#transaction = {
      id,
      ...(span === undefined ? {} : { span }),
      reversePath,
      mail,
      origin,
      recipients: [],
      copies: new Set(),
      forwardPaths: new Set(),
    }
    return accepted
  }

  async #writtenSender(reversePath: ReversePath, origin: Origin): Promise<ReversePath> {
    const { rewriting, listener } = this.#reception
    return rewriting === undefined ? reversePath : rewriting.sender({ reversePath, origin, tags: tagsOf(listener) })
  }

  /** A client that another one speaks for is himself, wherever the listener is. */
  get #isThisHost(): boolean {
    return this.#reception.thisHost === true && !this.#client.forwarded
  }

  async #origin(): Promise<Origin> {
    const { address, port, helo, tls, user } = this.#client
    const rdns = await this.#client.verifiedName()
    return {
      kind: 'smtp',
      address,
      port,
      listener: this.#reception.name,
      ...(helo === '' ? {} : { helo }),
      ...(this.#isThisHost ? { thisHost: true as const } : {}),
      ...(rdns === undefined ? {} : { rdns }),
      ...(user === undefined ? {} : { user }),
      ...(tls === undefined ? {} : { tls }),
      ...(this.#upstream === undefined ? {} : { upstream: this.#upstream }),
    }
  }

  async #resolve(transaction: Transaction, command: RcptCommand): Promise<Reply> {
    const taken = this.#take('recipients')
    if (typeof taken === 'object') return this.#refuseRecipient(taken.reply, command.mailbox, taken.by)
    const envelope = envelopeOf(transaction, this.#reception.listener, this.#reception.clock.now())
    const resolution = await this.#reception.resolveRecipient(envelope, command.mailbox).catch((error: unknown) => ({
      kind: 'rejected' as const,
      reply: this.#failed(error),
    }))
    if (resolution.kind === 'rejected') {
      taken?.()
      return this.#refuseRecipient(resolution.reply, command.mailbox)
    }
    const full = await this.#quotaRefusal(transaction, resolution.deliveredTo)
    if (full !== undefined) {
      taken?.()
      return this.#refuseRecipient(full, command.mailbox)
    }
    transaction.forwardPaths.add(command.mailbox)
    this.#client.filters?.recipientsAdded(resolution.recipients.length)
    for (const copy of resolution.recipients) {
      const key = copyKey(copy)
      if (transaction.copies.has(key)) continue
      transaction.copies.add(key)
      transaction.recipients.push(recipientOf(command, copy, resolution.recipients.length))
    }
    return acceptedRecipient
  }

  #quotaRefusal({ reversePath, origin, mail }: Transaction, mailbox?: Mailbox): Promise<Reply | undefined> | undefined {
    if (mailbox === undefined) return undefined
    const { sizeBytes } = mail
    const size = sizeBytes === undefined ? {} : { sizeBytes }
    return this.#reception.quotaStatus?.refusal({ mailbox, reversePath, origin, ...size })
  }

  #receive(transaction: Transaction, content: IncomingContent, chunked = false): MessageReceiver {
    const { limits, monotonic, configuration, manners } = this.#reception
    const { user } = transaction.origin
    const repairs = manners.bareLineEnds === 'repair' || (manners.bareLineEnds === 'repair-users' && user !== undefined)
    const checked = this.#reception.checkContent?.(content)
    const filtered = this.#filteredContent(transaction, checked ?? content)
    return new MessageReceiver({
      content: filtered ?? checked ?? content,
      policy: repairs ? 'normalise' : 'strict',
      maxBytes: configuration.maxMessageBytes,
      chunked,
      limits,
      now: monotonic,
      onEnd: (next) => this.#end(transaction, { content, filtered, checked }, next),
      onFlood: () => this.#client.cutOff(this.#refuse('data', replies.messageTooBig)),
    })
  }

  /** Absent: no filter process rewrites messages. */
  #filteredContent(transaction: Transaction, content: ContentSink): FilteredContent | undefined {
    const rewriters = this.#client.filters?.rewriters ?? []
    if (rewriters.length === 0) return undefined
    const { configuration, limits, clock } = this.#reception
    return new FilteredContent({
      content,
      rewriters,
      trace: this.#trace(transaction, clock.now()),
      maxBytes: configuration.maxMessageBytes + limits.headerBytes,
      headerBytes: limits.headerBytes * 2,
    })
  }

  #trace(transaction: Transaction, at: number): string {
    const { listener } = this.#reception
    const { hostname, extended, filters } = this.#client
    return traceFields({ transaction, listener, hostname, extended, junk: filters?.junk === true, at })
  }

  #end(transaction: Transaction, incoming: Incoming, next: () => void): void {
    const { filters } = this.#client
    filters?.report('protocol-client', '.')
    const sizeBytes = this.#receiver?.sizeBytes ?? 0
    void this.#accept(transaction, incoming).then(({ reply, disconnect }) => {
      this.#receiver = undefined
      this.reset()
      if (disconnect === true) return this.#client.drop(reply)
      if (filters === undefined) return this.#client.answer(reply, next)
      const takenBytes = reply.code === 250 ? (incoming.filtered?.sizeBytes ?? sizeBytes) : undefined
      this.#client.answer(reply, next, () => filters.messageEnded(takenBytes))
    })
  }

  async #accept(
    transaction: Transaction,
    incoming: Incoming,
  ): Promise<{ readonly reply: Reply; readonly disconnect?: boolean }> {
    const receiver = this.#receiver
    if (receiver === undefined) return { reply: replies.tryLater }
    const startedAt = this.#reception.monotonic()
    await receiver.busy
    if (receiver.facts().hops > this.#reception.limits.hops) receiver.refuse(replies.routingLoop)
    const { filters } = this.#client
    const { filtered, checked } = incoming
    if ((filtered ?? checked) !== undefined && receiver.fault === undefined) await this.#endContent(incoming, receiver)
    if (receiver.fault !== undefined) {
      this.#warn(checked?.findings)
      return { reply: this.#refuse('data', receiver.fault) }
    }
    const verdict = filters === undefined ? undefined : await filters.decide('commit', '')
    if (verdict?.kind === 'refused') {
      receiver.refuse(verdict.reply)
      return { reply: this.#refuse('data', verdict.reply), disconnect: verdict.disconnect }
    }
    return { reply: await this.#store(transaction, incoming, receiver, startedAt) }
  }

  async #endContent({ filtered, checked }: Incoming, receiver: MessageReceiver): Promise<void> {
    try {
      await filtered?.end()
      await checked?.end()
    } catch (error) {
      receiver.refuse(this.#failed(error))
    }
  }

  /** The reply to the end of data: 250 once the message is on disk (RFC 5321 §4.2.5). */
  async #store(
    transaction: Transaction,
    { content, filtered, checked }: Incoming,
    receiver: MessageReceiver,
    startedAt: number,
  ): Promise<Reply> {
    // A filter took its time, and the client did not.
    if (receiver.fault !== undefined) return this.#refuse('data', receiver.fault)
    const facts = filtered === undefined ? receiver.facts() : filtered.facts()
    const { listener, clock, pipeline, rewriting, beforeAccept } = this.#reception
    const { hostname } = this.#client
    const at = clock.now()
    const envelope = envelopeOf(transaction, listener, at)
    const trace = filtered === undefined ? this.#trace(transaction, at) : ''
    const edits = acceptanceEdits({ transaction, listener, hostname, facts, trace, at })
    let accepted: Envelope
    try {
      const verdict = await this.#checkHeader((filtered ?? receiver).section(), trace, facts)
      const found = bothFindings(verdict, checked?.findings)
      this.#warn(found)
      if (verdict?.refusal !== undefined) receiver.refuse(verdict.refusal)
      if (receiver.fault !== undefined) return this.#refuse('data', receiver.fault)
      if (verdict !== undefined) edits.push(...verdict.edits)
      if (rewriting !== undefined) edits.push(...(await rewriting.header((filtered ?? receiver).section(), envelope)))
      const sent = found?.redirect === undefined ? envelope : await this.#redirected(envelope, found.redirect)
      const waitMs = found?.fate === undefined && this.#mayWait ? beforeAccept?.deadlineMs : undefined
      const early =
        waitMs === undefined ? undefined : await this.#decision({ envelope: sent, content, edits }, startedAt + waitMs)
      if (early?.disposition.kind === 'reject') receiver.refuse(early.disposition.reply)
      if (receiver.fault !== undefined) return this.#refuse('data', receiver.fault)
      await pipeline.accept(sent, content, edits, found?.fate ?? early)
      accepted = sent
    } catch (error) {
      await content.abort().catch(() => undefined)
      return this.#refuse('data', this.#failed(error))
    }
    this.messages += 1
    const { sizeBytes } = receiver
    tellAccepted(transaction.span, accepted, sizeBytes)
    this.#received(accepted, {
      sizeBytes,
      messageId: facts.messageId,
      subject: this.#reception.configuration.pipeline.events.subjects && subjectIn((filtered ?? receiver).section()),
      tookMs: this.#reception.monotonic() - startedAt,
    })
    return { code: 250, enhanced: '2.0.0', text: `Ok: queued as ${transaction.id}` }
  }

  /** The filter's; the client waits for it until then, by the monotonic clock. */
  async #decision(message: Unaccepted, until: number): Promise<EarlyDecision | undefined> {
    const { pipeline, clock, monotonic } = this.#reception
    this.#asking = new AbortController()
    const asking = { untilAt: clock.now() + until - monotonic(), signal: this.#asking.signal }
    const decision = await pipeline.decide(message, asking)
    this.#asking = undefined
    return decision
  }

  /** For this address alone, as if an alias led there. @throws SmtpError: it is nobody's */
  async #redirected(envelope: Envelope, mailbox: Mailbox): Promise<Envelope> {
    const [first] = envelope.recipients
    const original = first?.original ?? first?.mailbox
    const resolution = await this.#reception.resolveRecipient({ ...envelope, origin: { kind: 'local' } }, mailbox)
    if (resolution.kind === 'rejected') {
      this.#reception.log.error(
        { id: envelope.id, mailbox, reply: resolution.reply },
        'a match rule redirects to nobody',
      )
      throw new SmtpError(misconfigured)
    }
    const recipients = resolution.recipients.map((copy) => ({
      ...copy,
      ...(original === undefined ? {} : { original }),
    }))
    return { ...envelope, recipients }
  }

  /** `header match`, our own fields included; undefined: none is for this listener. */
  #checkHeader(section: Buffer, trace: string, facts: HeaderFacts): Promise<HeaderVerdict> | undefined {
    return this.#reception.checkHeader?.(Buffer.concat([Buffer.from(trace), section]), facts.carriedHops)
  }

  #warn(found: Findings | undefined): void {
    const { reportFilter, name } = this.#reception
    const { id, address } = this.#client
    for (const warning of found?.warnings ?? []) reportFilter({ session: id, listener: name, address, ...warning })
  }

  #received(envelope: Envelope, { sizeBytes, messageId, subject, tookMs }: Acceptance): void {
    const { id, reversePath, recipients, origin, trace } = envelope
    this.#reception.events.received({
      id,
      from: reversePath,
      to: recipients.map((recipient) => recipient.mailbox),
      sizeBytes,
      listener: origin.listener,
      address: origin.address,
      ...originFields(envelope),
      upstream: origin.upstream && formatUpstream(origin.upstream),
      messageId,
      subject,
      tookMs: Math.round(tookMs * 10) / 10,
      sessionMs: this.#client.sessionMs,
      trace: traceIdOf(trace),
      talk: this.#client.talk && [...this.#client.talk.lines(), `S: 250 2.0.0 Ok: queued as ${id}`],
    })
  }

  /**
   * @param takesBare a restriction is asked about addresses without a domain
   * @param smtpUtf8 for RCPT, whether MAIL said so (RFC 6531 §3.4)
   */
  #rules(takesBare = false, smtpUtf8?: boolean): CommandRules {
    const { listener, configuration, clock } = this.#reception
    const { hostname, tls, user } = this.#client
    const { extensions, rewriting } = configuration.pipeline
    return {
      maxMessageBytes: configuration.maxMessageBytes,
      dsn: !listener.noDsn,
      smtpUtf8: smtpUtf8 ?? extensions.smtpUtf8,
      requireTls: tls !== undefined,
      ...(extensions.maxHoldMs === undefined || user === undefined
        ? {}
        : { hold: { maxMs: extensions.maxHoldMs, nowAt: clock.now() } }),
      hostname: rewriting.appendDomain ?? hostname,
      completesAddresses: takesBare || this.#completesAddresses(),
    }
  }

  #completesAddresses(): boolean {
    const { configuration, rewriting } = this.#reception
    const { address, user } = this.#client
    if (!configuration.pipeline.rewriting.completeAddresses) return false
    if (user !== undefined) return true
    return rewriting?.completes({ address, ...(this.#isThisHost ? { thisHost: true } : {}) }) === true
  }

  /** `senders`: the addresses a user may send as; the null reverse-path is anybody's (RFC 5321 §4.5.5). */
  #maySendAs(reversePath: ReversePath): boolean | Promise<boolean> {
    const { listener, tables, configuration } = this.#reception
    const { user } = this.#client
    if (listener.senders === undefined || user === undefined || reversePath === null) return true
    const { table } = listener.senders
    return settle(tables, (settled) => {
      const allowed = settled.lookup(table, user, 'mailaddrmap')?.split(',') ?? []
      const patterns = allowed.map((entry) => entry.trim()).filter((entry) => entry !== '')
      return compileMailboxes(patterns, configuration.subAddressDelimiter).matches(reversePath)
    })
  }

  #refuseRecipient(reply: Reply, to: string, restriction?: string): Reply {
    this.refusedRecipients += 1
    if (reply.code >= 500) this.#client.offend('refused-recipients')
    return this.#refuse('rcpt', reply, this.#transaction?.reversePath, to, restriction)
  }

  #refuse(
    stage: 'mail' | 'rcpt' | 'data',
    reply: Reply,
    from = this.#transaction?.reversePath,
    to?: string,
    restriction?: string,
  ): Reply {
    if (this.#closed) return reply
    this.#tellRefusal(stage, reply)
    this.#reception.events.rejected({
      session: this.#client.id,
      listener: this.#reception.name,
      address: this.#client.address,
      revision: this.#reception.configuration.revision,
      stage,
      reply,
      ...(this.#transaction === undefined ? {} : { id: this.#transaction.id }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to: to.slice(0, 256) }),
      ...(restriction === undefined ? {} : { restriction }),
      ...this.#refusedFields(stage),
    })
    return reply
  }

  /** A refused recipient is no error of the transaction: it goes on with the others. */
  #tellRefusal(stage: 'mail' | 'rcpt' | 'data', { code, enhanced }: Reply): void {
    const span = this.#transaction?.span
    span?.event(`${stage} refused`, { 'sluice.smtp.reply_code': code, 'sluice.smtp.enhanced_code': enhanced })
    if (stage === 'data') span?.fail(String(code))
  }

  /** So that the refusal can be judged again by other rules (`sluicectl dry-run`). */
  #refusedFields(stage: 'mail' | 'rcpt' | 'data'): OriginFields & { readonly recipients?: readonly Mailbox[] } {
    const transaction = this.#transaction
    if (transaction === undefined || stage === 'mail') return {}
    if (stage === 'rcpt') return originFields({ origin: transaction.origin, recipients: [] })
    return { ...originFields(transaction), recipients: transaction.recipients.map(({ mailbox }) => mailbox) }
  }

  /** Expected trouble carries its reply; of the rest the log keeps the cause and the client is told to try again. */
  #failed(error: unknown): Reply {
    const reply = replyTo(error)
    if (reply.code === 451 && !(error instanceof SmtpError))
      this.#reception.log.error({ err: error, session: this.#client.id }, 'temporary failure')
    return reply
  }
}

/** A path as the client said it, `keyword:<...> ...`. */
function tellAccepted(span: Span | undefined, { recipients }: Envelope, sizeBytes: number): void {
  if (span === undefined) return
  const size = { 'sluice.recipients': recipients.length, 'messaging.message.body.size': sizeBytes }
  span.set({ ...size, 'sluice.smtp.reply_code': 250 })
  span.setPersonal({ 'sluice.mail.to': recipients.map(({ mailbox }) => mailbox) })
}

function saidPath(argument: string, keyword: 'FROM' | 'TO', mailbox: ReversePath): SaidPath {
  const text = addressOf(argument.slice(keyword.length + 1))
  return { text: text.slice(0, 256), mailbox, bare: text !== '' && !text.includes('@') }
}

function recipientOf(
  command: RcptCommand,
  { mailbox, target }: Pick<Recipient, 'mailbox' | 'target'>,
  copies: number,
): Recipient {
  const notify = copies > 1 ? withoutSuccess(command.notify) : command.notify
  return {
    mailbox,
    ...(target === undefined ? {} : { target }),
    ...(mailbox === command.mailbox ? {} : { original: command.mailbox }),
    ...(command.orcpt === undefined ? {} : { orcpt: command.orcpt }),
    ...(notify === undefined ? {} : { notify }),
    ...(notify === command.notify ? {} : { expanded: true }),
  }
}

function originFields({ origin, recipients }: Pick<Envelope, 'origin' | 'recipients'>): OriginFields {
  const { helo, user, tls, rdns, thisHost } = origin
  const isExpanded = recipients.some(({ original }) => original !== undefined)
  const asked = isExpanded ? recipients.map(({ original, mailbox }) => original ?? mailbox) : undefined
  return { helo, user, tls: tls?.version, rdns: rdns ?? null, thisHost, asked }
}

/** Which mailboxes an alias leads to is none of the sender's business: they do not report their success (RFC 3461 §5.2.7). */
function withoutSuccess(notify: RcptCommand['notify']): RcptCommand['notify'] {
  if (notify === undefined || !notify.includes('success')) return notify
  const others = notify.filter((word) => word !== 'success')
  return others.length === 0 ? ['never'] : others
}
