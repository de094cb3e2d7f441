import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js'

import type { SaslMechanism } from '../../shared/config/model.ts'
import type { SessionFields } from '../../shared/events.ts'
import { replies, withStatusCode } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { ClientName } from '../../shared/client-name.ts'
import { negotiatedTls } from '../../shared/negotiated-tls.ts'
import type { NegotiatedTls } from '../../shared/negotiated-tls.ts'
import { AuthDialogue, SaslFault, initialResponse, prove, readClaim } from './auth-dialogue.ts'
import type { Claim } from './auth-dialogue.ts'
import { ChunkReceiver, parseChunk } from './chunk.ts'
import type { Chunk } from './chunk.ts'
import type { Offence } from '../../shared/config/rate-rules.ts'
import type { ClientCertificate } from '../../shared/restrictions/question.ts'
import { clientCertificateOf } from './client-certificate.ts'
import { banned } from './client-watch.ts'
import { offeredExtensions } from './extensions.ts'
import { handshakeFailure } from './handshake-failure.ts'
import { heloArgument } from './helo-argument.ts'
import { parseXclient, xclientAttributes } from './xclient.ts'
import type { ForwardedClient } from './xclient.ts'
import { xforwardAttributes } from './xforward.ts'
import { SessionInput } from './input.ts'
import type { DataReceiver, InputHandler } from './input.ts'
import { addressOf } from './mail-command.ts'
import { isFlood } from './message-receiver.ts'
import type { Reception } from './reception.ts'
import { SessionRestrictions } from './restrictions/session-restrictions.ts'
import type { RestrictionRefusal } from './restrictions/session-restrictions.ts'
import type { InboundServer } from './server.ts'
import { SessionFilters, resultOf } from './session-filters.ts'
import type { Refusal, SessionPhase } from './session-filters.ts'
import { SmtpTalk } from '../../shared/smtp-talk.ts'
import { SessionTrace } from './session-trace.ts'
import { tlsSessionOf } from './tls-session.ts'
import { MailTransactions } from './transactions.ts'
import type { Client } from './transactions.ts'

/** Time for the last reply to arrive before the connection is reset. */
const cutOffMs = 1_000
const httpVerbs = new Set(['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PATCH'])

const answers = {
  spokeTooSoon: reply(554, '5.5.0', 'You talked before the greeting'),
  notMail: reply(421, '4.7.0', 'This is not a web server'),
  helloFirst: reply(503, '5.5.1', 'Send EHLO or HELO first'),
  tlsFirst: reply(530, '5.7.0', 'Must issue a STARTTLS command first'),
  authFirst: reply(530, '5.7.0', 'Authentication required'),
  authNeedsTls: reply(503, '5.5.1', 'Authentication is not enabled without TLS'),
  authenticated: reply(235, '2.7.0', 'Authentication successful'),
  authMechanism: reply(504, '5.5.4', 'Authentication mechanism not offered'),
  authSyntax: reply(501, '5.5.4', 'Syntax: AUTH mechanism [initial-response]'),
  authTwice: reply(503, '5.5.1', 'Already authenticated'),
  authInTransaction: reply(503, '5.5.1', 'AUTH is not permitted during a mail transaction'),
  authFailed: reply(535, '5.7.8', 'Authentication credentials invalid'),
  authUnavailable: reply(454, '4.7.0', 'Temporary authentication failure'),
  authBlocked: reply(454, '4.7.0', 'Too many failed logins, try again later'),
  authFlood: reply(421, '4.7.0', 'Too many failed logins'),
  tlsActive: reply(503, '5.5.1', 'TLS is active already'),
  tlsReady: reply(220, '2.0.0', 'Ready to start TLS'),
  noArgument: reply(501, '5.5.4', 'This command takes no argument'),
  heloSyntax: reply(501, '5.5.4', 'Syntax: EHLO hostname'),
  unknown: reply(500, '5.5.2', 'Command not recognized'),
  notTrusted: reply(550, '5.7.0', 'You may not speak for other clients'),
  xclientSyntax: reply(501, '5.5.4', `Syntax: XCLIENT attribute=value; attributes: ${xclientAttributes}`),
  xforwardSyntax: reply(501, '5.5.4', `Syntax: XFORWARD attribute=value; attributes: ${xforwardAttributes}`),
  outOfPlace: reply(503, '5.5.1', 'Not permitted during a mail transaction'),
  chunkSyntax: reply(501, '5.5.4', 'Syntax: BDAT octets [LAST]'),
  disabled: reply(502, '5.5.1', 'Command not implemented'),
  control: reply(500, '5.5.2', 'Control characters are not allowed in commands'),
  lineTooLong: reply(500, '5.5.2', 'Line too long'),
  bareLineFeed: reply(521, '5.5.2', 'A command line ends in CR LF (RFC 5321 section 2.3.8)'),
  ok: reply(250, '2.0.0', 'Ok'),
  verifyNothing: reply(252, '2.0.0', 'Cannot VRFY user, but will accept message and attempt delivery'),
  verifySyntax: reply(501, '5.5.4', 'Syntax: VRFY address'),
  help: reply(214, '2.0.0', 'See RFC 5321'),
  bye: reply(221, '2.0.0', 'Bye'),
  tooManyErrors: reply(421, '4.7.0', 'Too many errors'),
  tooManyRefused: reply(421, '4.7.0', 'Too many refused recipients'),
  tooIdle: reply(421, '4.7.0', 'Too many commands without a message'),
  timeout: reply(421, '4.4.2', 'Timeout'),
  unavailable: reply(421, '4.3.0', 'Service not available, try again later'),
  tooSlow: reply(421, '4.3.0', 'The server could not answer in time, please try again later'),
}

/**
 * One SMTP session. smtp-server holds the connection and the TLS handshakes; input, dialogue, replies and
 * time limits are here. What its underscored members do is read against smtp-server 3.21.6: `init` (greets after 100 ms),
 * `send` (doubles enhanced codes), `_createParser` (dots at a quadratic cost, bare LF as a line end), `_armTimeout` (any octet
 * resets it), `_onError` (an event without a listener ends the process).
 */
export class InboundSession extends SMTPConnection implements InputHandler, Client {
  declare readonly _server: InboundServer
  readonly #transactions: MailTransactions
  readonly #reception: Reception
  readonly #connectedAt: number
  readonly #accepted: Socket
  /** Absent: the listener names none. */
  filters: SessionFilters | undefined
  /** Absent: there are none for the listener. */
  restrictions: SessionRestrictions | undefined
  #nameFound: Promise<ClientName> | undefined
  #nameVerified: Promise<string | undefined> | undefined
  /** In the greeting, EHLO and Received. */
  hostname: string
  /** Since the greeting; absent: tracing is off. */
  trace: SessionTrace | undefined
  /** Absent: it is not written down. */
  talk: SmtpTalk | undefined
  #tls: NegotiatedTls | undefined
  /** Monotonic ms since which the client, or a handler, is waited for. */
  #waitingSince: number
  #progressAt: number
  #done: (() => void) | undefined
  #output = ''
  #errors = 0
  #authFailures = 0
  #idleCommands = 0
  #verb = ''
  /** Announced by BDAT, and not read yet. */
  #chunk: Chunk | undefined
  #gone = false
  /** A filter wants the connection closed behind the reply to AUTH. */
  #closesAfterReply = false
  /** Gives the place of the client back that a trusted one speaks for. */
  #place: (() => void) | undefined
  /** Where that one says his client connected to. */
  #ownAddress: string | undefined
  #ownPort: number | undefined
  /** An exchange of SASL is going on. */
  #dialogue: AuthDialogue | undefined
  /** Since it began. */
  #banned = false

  constructor(server: InboundServer, socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null) {
    super(server, socket, options)
    this.#reception = server.reception
    this.#accepted = socket
    this.secure = this.session.secure = socket instanceof TLSSocket
    this.hostname = server.reception.hostname
    this.#ask()
    this.#transactions = new MailTransactions(server.reception, this)
    this.#connectedAt = server.reception.monotonic()
    this.#waitingSince = this.#connectedAt
    this.#progressAt = this.#connectedAt
  }

  /** Whoever has a say about this client. */
  #ask(): void {
    const { filters, restrictions } = this.#reception
    this.filters = filters === undefined ? undefined : this.#openFilters(filters)
    this.restrictions = restrictions === undefined ? undefined : new SessionRestrictions(restrictions, this)
  }

  get forwarded(): boolean {
    return this.#place !== undefined
  }

  /** How long it has been connected. */
  get sessionMs(): number {
    return Math.round(this.#reception.monotonic() - this.#connectedAt)
  }

  get address(): string {
    return this.remoteAddress
  }

  get port(): number {
    return this.remotePort
  }

  get helo(): string {
    return this.hostNameAppearsAs || ''
  }

  get extended(): boolean {
    return this.openingCommand === 'EHLO'
  }

  get user(): string | undefined {
    const { user } = this.session
    return typeof user === 'string' ? user : undefined
  }

  get tls(): NegotiatedTls | undefined {
    if (this.#tls !== undefined || !(this._socket instanceof TLSSocket)) return this.#tls
    this.#tls = negotiatedTls(this._socket)
    return this.#tls
  }

  /** That of a trusted one who speaks for others is not theirs. */
  get certificate(): ClientCertificate | undefined {
    if (!this.#reception.asksCertificate || this.forwarded || !(this._socket instanceof TLSSocket)) return undefined
    return clientCertificateOf(this._socket)
  }

  verifiedName(): Promise<string | undefined> {
    this.#nameVerified ??= this.clientName().then(({ name, forward }) => (forward === 'pass' ? name : undefined))
    return this.#nameVerified
  }

  /** Looked up once, when a filter or the first MAIL needs it. */
  clientName(): Promise<ClientName> {
    this.#nameFound ??= this.#reception.clientName(this.remoteAddress).catch(() => ({ forward: 'error' as const }))
    return this.#nameFound
  }

  #openFilters(parts: NonNullable<Reception['filters']>): SessionFilters {
    const report = (filter: string, text: string): void =>
      this.#reception.reportFilter({ ...this.#fields(), filter, text })
    return new SessionFilters({ ...parts, report }, this)
  }

  /** Without smtp-server's wait of 100 ms, but for clients on their first visit. */
  override init(): void {
    // Who has said all and only listens now still gets the replies.
    this._socket.allowHalfOpen = true
    this._setListeners(() => {
      const { knownClients, limits, monotonic } = this.#reception
      // Who begins with a handshake has shown that he waits.
      const mustWait = limits.greetingWaitMs > 0 && !this.secure
      if (mustWait && !knownClients.has(this.remoteAddress, monotonic()))
        setTimeout(() => this.#greetWaiting(), limits.greetingWaitMs).unref()
      else setImmediate(() => this.#greet())
    })
  }

  #greetWaiting(): void {
    if (this._closing || this._closed) return
    this.#reception.knownClients.add(this.remoteAddress, this.#reception.monotonic())
    this.#greet()
  }

  #greet(): void {
    if (this._closing || this._closed) return
    if (this.#reception.hostnameAt === undefined) return this.#askFilters()
    void this.#nameThisHost().then(
      () => this.#askFilters(),
      (error: unknown) => this.#refuseService(error),
    )
  }

  /** By the address the client came to. @throws TableError */
  async #nameThisHost(): Promise<void> {
    const { hostnameAt, hostname } = this.#reception
    this.hostname = (await hostnameAt?.(this.#ownAddress ?? this._socket.localAddress ?? '')) ?? hostname
  }

  #refuseService(error: unknown): void {
    this.#reception.log.error({ err: error, session: this.id }, 'temporary failure')
    this.drop(answers.unavailable)
  }

  #askFilters(): void {
    if (this._closing || this._closed) return
    this.#restricted('connect', this.restrictions?.connect(), () => this.#askFiltersNext())
  }

  #askFiltersNext(): void {
    if (this.filters?.observed !== true) return this.#filtered('connect', '', () => this.#welcome())
    void this.#reportConnection(this.filters).then(() => this.#filtered('connect', '', () => this.#welcome()))
  }

  async #reportConnection(filters: SessionFilters): Promise<void> {
    const { name = '<unknown>', forward } = await this.clientName()
    const { localAddress = '', localPort = 0 } = this._socket
    const source = endpoint(this.remoteAddress, this.remotePort)
    const destination = endpoint(this.#ownAddress ?? localAddress, this.#ownPort ?? localPort)
    filters.report('link-connect', name, forward, source, destination)
    if (this.secure) this.#reportTls()
  }

  #noteTls(): void {
    if (!(this._socket instanceof TLSSocket)) return
    const tls = tlsSessionOf(this._socket)
    this.#reception.events.secured({ ...this.#fields(), ...tls })
    this.talk?.both(`TLS: ${tls.version} ${tls.cipher}`)
    this.trace?.event('TLS', { 'tls.protocol.version': tls.version, 'tls.cipher': tls.cipher })
  }

  #reportTls(): void {
    if (this.filters?.observed !== true || this.tls === undefined) return
    const { version, cipher } = this.tls
    const bits = /256|CHACHA20/.test(cipher) ? 256 : 128
    this.filters.report('link-tls', `${version}:${cipher}:${bits}`)
  }

  /** What `restrict delay off` asks before RCPT; `asked` is absent when there is nothing to ask. */
  #restricted(
    stage: 'connect' | 'helo',
    asked: Promise<RestrictionRefusal | undefined> | undefined,
    proceed: () => void,
  ): void {
    if (asked === undefined) return proceed()
    void asked.then(
      (refusal) => {
        if (this._closing || this.#gone) return
        if (refusal === undefined) return proceed()
        const { reply: answer, by } = refusal
        this.#reception.events.rejected({ ...this.#decided(), stage, reply: answer, restriction: by })
        if (stage === 'helo') return this.#answer(answer)
        // In place of the greeting only 421 is a reply that every client takes as temporary (RFC 5321 §3.1, §3.8).
        this.drop(answer.code < 500 ? { ...answer, code: 421 } : answer)
      },
      (error: unknown) => this.#refuseService(error),
    )
  }

  #welcome(): void {
    this._ready = true
    this.#waitingSince = this.#reception.monotonic()
    this.#reception.events.connected(this.#fields())
    const { tracing } = this.#reception
    if (tracing !== undefined) this.trace = new SessionTrace(tracing, { id: this.id, ...this.#fields() })
    if (this.#reception.configuration.pipeline.events.smtpTalk === true) this.talk = new SmtpTalk()
    this.#noteTls()
    const greeting = `220 ${this.#reception.manners.greeting(this.hostname)}`
    this.#write(`${greeting}\r\n`)
    this.filters?.report('protocol-server', greeting)
    this.filters?.report('link-greeting', this.hostname)
  }

  override _createParser(): SessionInput {
    const { monotonic, manners } = this._server.reception
    const input = new SessionInput(this, monotonic, manners.bareLineEnds === 'repair')
    input.on('error', (error) => this._onError(error))
    return input
  }

  takeLine(line: string, done: () => void): void {
    // What came in before the handshake is dropped without a word: it is not the client's (RFC 3207 §6).
    if (this._upgrading || this._closing) return done()
    this.#done = done
    this.#waitingSince = this.#reception.monotonic()
    if (!this._ready) {
      this.#reception.knownClients.delete(this.remoteAddress)
      this.offend('protocol-errors')
      return this.drop(answers.spokeTooSoon)
    }
    this.talk?.client(line, this.#dialogue !== undefined)
    if (this.filters?.observed === true)
      this.filters.report('protocol-client', this.#dialogue === undefined ? safe(line) : masked)
    if (this._server.draining) return this.drop(replies.shuttingDown)
    if (this.#dialogue !== undefined) return this.#dialogue.take(line)
    this.#dispatch(line)
  }

  /** What follows a bare line feed may be meant as part of the same line: none of it is carried out. */
  refuseLine(fault: 'bare line feed' | 'too long', begin: string, done: () => void): void {
    if (this._upgrading || this._closing) return done()
    if (fault === 'bare line feed') {
      this.offend('protocol-errors')
      return this.drop(answers.bareLineFeed)
    }
    this.#done = done
    if (this.#dialogue !== undefined) return this.#dialogue.refuseLine()
    this.#refuseCommand(begin, answers.lineTooLong)
  }

  giveUp(): void {
    this.offend('protocol-errors')
    this.cutOff({ ...answers.lineTooLong, code: 421, enhanced: '4.7.0' })
  }

  ended(): void {
    this.close()
  }

  answer(answer: Reply, next: () => void, told?: () => void): void {
    if (answer.code === 250) {
      this.#errors = 0
      this.#idleCommands = 0
      this.#progressAt = this.#reception.monotonic()
    }
    this.#done = next
    this.#answer(answer, told)
  }

  /** What `ban` counts. */
  offend(offence: Offence): void {
    const { watch } = this.#reception
    if (watch?.offence(offence, { session: this.id, address: this.remoteAddress }) === true) this.#banned = true
  }

  drop(answer: Reply): void {
    this.#reply(answer)
    this.close()
  }

  /** For a client that would go on sending: smtp-server reads on for five seconds after `close`. */
  cutOff(answer: Reply): void {
    this.drop(answer)
    this._socket.pause()
    setTimeout(() => this._socket.destroy(), cutOffMs).unref()
  }

  /** Looks at the time limits; called by the server's sweep. */
  checkTime(now: number): void {
    const { limits } = this.#reception
    if (this._closing) return
    const { receiver } = this.#transactions
    if (this._upgrading) {
      if (now - this.#waitingSince > limits.lineMs) this._socket.destroy()
    } else if (this.#done !== undefined) {
      if (now - this.#waitingSince > limits.handlerMs) this.drop(answers.tooSlow)
    } else if (receiver === undefined) {
      const { lineBeganAt } = this._parser as SessionInput
      const dripping = lineBeganAt > 0 && now - lineBeganAt > limits.lineMs
      const idle = now - this.#waitingSince > limits.idleMs || now - this.#progressAt > limits.sessionMs
      if (dripping || idle) this.#timeOut()
    } else if (receiver.isStalled(now)) {
      if (receiver.isComplete) this.drop(answers.tooSlow)
      else this.#timeOut()
    }
  }

  #timeOut(): void {
    this.filters?.report('timeout')
    this.drop(answers.timeout)
  }

  /** The server stops: a session between two commands ends now, one at work after it, and nobody waits for the filter. */
  drain(): void {
    this.#transactions.waitNoMore('the service stops')
    if (this.#done === undefined && this.#transactions.receiver === undefined && !this._upgrading)
      this.drop(replies.shuttingDown)
  }

  /** Ends the session without a word; from the top, a TLS socket does not bear to lose the one below. */
  destroy(): void {
    this._socket.destroy()
  }

  #dispatch(line: string): void {
    if (hasControl(line)) return this.#refuseCommand(line, answers.control)
    const blank = line.indexOf(' ')
    const verb = (blank < 0 ? line : line.slice(0, blank)).toUpperCase()
    this.#verb = verb
    this.restrictions?.sawCommand(verb, this.extended, () => (this._parser as SessionInput).hasMore)
    const argument = blank < 0 ? '' : line.slice(blank + 1).trim()
    if (line.length > this.#reception.limits.lineBytes && verb !== 'AUTH')
      return this.#refuseCommand(line, answers.lineTooLong)
    switch (verb) {
      case 'MAIL':
        return this.#mail(argument)
      case 'RCPT':
        return this.#rcpt(argument)
      case 'DATA':
        return this.#data(argument)
      case 'BDAT':
        return this.#bdat(argument)
      case 'EHLO':
      case 'HELO':
        return this.#hello(verb, argument)
      case 'AUTH':
        return this.#auth(argument)
      case 'STARTTLS':
        this.trace?.event('STARTTLS')
        return this.#startTls(argument)
      case 'RSET':
        if (argument !== '') return this.#answer(answers.noArgument)
        return this.#filtered('rset', '', () => this.#reset())
      case 'NOOP':
        return this.#filtered('noop', '', () => this.#idleAnswer(answers.ok))
      case 'VRFY':
        if (!this.#reception.manners.vrfy) return this.#answer(answers.disabled)
        return this.#idleAnswer(argument === '' ? answers.verifySyntax : answers.verifyNothing)
      case 'HELP':
        return this.#idleAnswer(answers.help)
      case 'QUIT':
        if (argument !== '') return this.#answer(answers.noArgument)
        return this.#filtered('quit', '', () => this.drop(answers.bye))
      case 'XCLIENT':
        return this.#xclient(argument)
      case 'XFORWARD':
        return this.#xforward(argument)
      case 'ETRN':
        return this.#etrn(argument)
      case 'EXPN':
        return this.#expn(argument)
      case 'TURN':
        return this.#answer(answers.disabled)
      default:
        if (httpVerbs.has(verb)) {
          this.offend('protocol-errors')
          return this.drop(answers.notMail)
        }
        return this.#answer(answers.unknown)
    }
  }

  /** A line that is no command. Behind one that was meant as BDAT come octets that are none either: nobody knows how many. */
  #refuseCommand(line: string, answer: Reply): void {
    if (/^BDAT(?![A-Z])/i.test(line)) this.drop(answer)
    else this.#answer(answer)
  }

  #mayMail(): Reply | undefined {
    const { listener, manners } = this.#reception
    if (this.hostNameAppearsAs === false && manners.heloRequired) return answers.helloFirst
    if (listener.tls === 'required' && !this.secure) return answers.tlsFirst
    if (listener.auth.kind === 'required' && this.user === undefined)
      return this.#mayShowPassword ? answers.authFirst : answers.tlsFirst
    return undefined
  }

  #mail(argument: string): void {
    const refusal = this.#mayMail() ?? this.#transactions.mayBegin()
    if (refusal !== undefined) return this.#answer(refusal)
    this.#filteredPath('mail-from', 'FROM:', argument, (left) =>
      this.#answerSoon(this.#transactions.mail(left), this.#mailTold(argument)),
    )
  }

  #reset(): void {
    const { filters } = this
    this.#transactions.reset()
    this.#idleAnswer(answers.ok, filters === undefined ? undefined : () => filters.abandonMessage())
  }

  /** What filters are told behind the reply to MAIL. */
  #mailTold(argument: string): Told | undefined {
    const { filters } = this
    return filters === undefined ? undefined : (answer) => filters.mailAnswered(answer, argument.slice('FROM:'.length))
  }

  #rcptTold(argument: string): Told | undefined {
    const { filters } = this
    if (filters === undefined) return undefined
    return (answer) => filters.reportMessage('tx-rcpt', resultOf(answer), addressOf(argument.slice('TO:'.length)))
  }

  #rcpt(argument: string): void {
    if (!this.#transactions.isOpen) return this.#answerSoon(this.#transactions.rcpt(argument))
    this.#filteredPath('rcpt-to', 'TO:', argument, (left) =>
      this.#answerSoon(this.#transactions.rcpt(left), this.#rcptTold(argument)),
    )
  }

  /** What has no path is refused for its syntax; filters see none of it. */
  #filteredPath(
    phase: 'mail-from' | 'rcpt-to',
    keyword: string,
    argument: string,
    proceed: (left: string) => void,
  ): void {
    if (this.filters === undefined || argument.slice(0, keyword.length).toUpperCase() !== keyword)
      return proceed(argument)
    this.#filtered(phase, argument.slice(keyword.length).trimStart(), (left) => proceed(`${keyword}${left}`))
  }

  /** Asks the filters of the listener, when it has any; `proceed` takes what they leave of the argument. */
  #filtered(phase: SessionPhase, argument: string, proceed: (left: string) => void): void {
    if (this.filters === undefined) return proceed(argument)
    void this.filters
      .decide(phase, argument)
      .then((verdict) => {
        if (this._closing || this.#gone) return
        if (verdict.kind === 'proceed') proceed(verdict.argument)
        else this.#refusedByFilter(phase, argument, verdict)
      })
      .catch((error: unknown) => {
        this.#reception.log.error({ err: error, session: this.id }, 'temporary failure')
        this.drop(replies.tryLater)
      })
  }

  #refusedByFilter(phase: SessionPhase, argument: string, verdict: Refusal): void {
    const { reply: answer, disconnect } = verdict
    const stage = stages[phase]
    if (stage === 'mail' || stage === 'rcpt' || stage === 'data')
      this.#transactions.refusedByFilter(stage, answer, argument)
    else this.#reception.events.rejected({ ...this.#decided(), stage, reply: answer })
    if (disconnect) return this.drop(answer)
    if (phase === 'mail-from') this.#answer(answer, this.#mailTold(`FROM:${argument}`))
    else if (phase === 'rcpt-to') this.#answer(answer, this.#rcptTold(`TO:${argument}`))
    else this.#refuseContent(answer)
  }

  #hello(verb: 'EHLO' | 'HELO', argument: string): void {
    this.#identify(verb, argument, () => this.#introduce(verb))
  }

  /** What a client calls itself is known, unless somebody has something against it. */
  #identify(verb: 'EHLO' | 'HELO', argument: string, proceed: () => void): void {
    if (!heloArgument.test(argument)) return this.#answer(answers.heloSyntax)
    this.#restricted('helo', this.restrictions?.helo(argument), () =>
      this.#filtered(verb === 'EHLO' ? 'ehlo' : 'helo', argument, (left) => {
        if (!heloArgument.test(left)) return this.#answer(answers.heloSyntax)
        this.#transactions.reset()
        this.filters?.abandonMessage()
        this.filters?.report('link-identify', verb, left)
        this.openingCommand = verb
        this.hostNameAppearsAs = left
        this.trace?.event(verb)
        proceed()
      }),
    )
  }

  #introduce(verb: 'EHLO' | 'HELO'): void {
    const { hostname } = this
    if (verb === 'HELO') return this.#idleAnswer({ code: 250, text: hostname })
    const text = [
      `${hostname} Hello [${this.remoteAddress}]`,
      ...offeredExtensions(this.#reception, this, {
        showPassword: this.#mayShowPassword,
        forward: this.#mayForward,
        tellUpstream: this.#mayTellUpstream,
      }),
    ].join('\n')
    this.#idleAnswer({ code: 250, text })
  }

  #startTls(argument: string): void {
    if (this.#reception.listener.tls === 'none') return this.#answer(answers.disabled)
    if (this.secure) return this.#answer(answers.tlsActive)
    if (argument !== '') return this.#answer(answers.noArgument)
    this.#filtered('starttls', '', () => this.#upgrade())
  }

  #upgrade(): void {
    this.#reply(answers.tlsReady)
    this.#flush()
    // A handshake that the client breaks off is over at once.
    this._socket.allowHalfOpen = false
    this.upgrade(
      () => this.#next(),
      () => {
        // It may have been reset since.
        if (this._socket.destroyed) return
        this._socket.allowHalfOpen = true
        this.#noteTls()
        this.#reportTls()
      },
    )
  }

  #auth(argument: string): void {
    const refusal = this.#mayAuth()
    if (refusal !== undefined) return this.#answer(refusal)
    const [word = '', initial, ...more] = argument.split(/ +/)
    if (word === '') return this.#answer(answers.authSyntax)
    const mechanism = this.#reception.login.mechanisms.find((one) => one === word.toUpperCase())
    if (mechanism === undefined) return this.#answer(answers.authMechanism)
    if (more.length > 0) return this.#answer(answers.authSyntax)
    const dialogue = new AuthDialogue((challenge) => {
      this.#reply({ code: 334, text: challenge })
      this.#next()
    })
    this.#dialogue = dialogue
    void this.#authenticate(mechanism, initial, dialogue).then((answer) => {
      this.#dialogue = undefined
      if (this._closing || this.#gone) return
      if (answer.code === 421 || this.#closesAfterReply) this.drop(answer)
      else this.#answer(answer)
    })
  }

  #mayAuth(): Reply | undefined {
    if (this.#reception.listener.auth.kind === 'none') return answers.disabled
    if (this.hostNameAppearsAs === false) return answers.helloFirst
    if (!this.#mayShowPassword) return this.#needsTls ? answers.tlsFirst : answers.authNeedsTls
    if (this.user !== undefined) return answers.authTwice
    return this.#transactions.isOpen ? answers.authInTransaction : undefined
  }

  /** Nothing but STARTTLS leads on here. */
  get #needsTls(): boolean {
    const { tls, auth } = this.#reception.listener
    return tls === 'required' || (tls === 'offered' && auth.kind === 'required')
  }

  get #mayShowPassword(): boolean {
    return this.secure || this.#reception.configuration.pipeline.auth.withoutTls
  }

  async #authenticate(mechanism: SaslMechanism, initial: string | undefined, dialogue: AuthDialogue): Promise<Reply> {
    try {
      const claim = await readClaim(mechanism, initialResponse(initial), dialogue)
      return await this.#judge(mechanism, claim, dialogue)
    } catch (error) {
      if (error instanceof SaslFault) return error.reply
      this.#reception.log.error({ err: error, session: this.id }, 'temporary failure')
      return answers.authUnavailable
    }
  }

  /** The reply is the same, and as late, for an unknown user. */
  async #judge(method: SaslMechanism, claim: Claim, dialogue: AuthDialogue): Promise<Reply> {
    const { login, limits, monotonic, events } = this.#reception
    const startedAt = monotonic()
    const { user, authzid } = claim
    const verdict = await this.filters?.decide('auth', method, user)
    if (verdict?.kind === 'refused') {
      events.rejected({ ...this.#decided(), stage: 'auth', reply: verdict.reply })
      this.#closesAfterReply = verdict.disconnect
      return verdict.reply
    }
    // Nobody acts for somebody else.
    const sound = (user !== '' || claim.kind === 'exchange') && (authzid === '' || authzid === user)
    const client = { address: this.remoteAddress, secure: this.secure }
    const result = sound ? await prove(claim, login, client, dialogue) : ({ kind: 'refused' } as const)
    this.trace?.event('AUTH', { 'sluice.auth.method': method, 'sluice.auth.result': result.kind })
    this.filters?.report('link-auth', authEvents[result.kind], result.kind === 'accepted' ? result.user : user)
    if (result.kind === 'accepted') {
      this.session.user = result.user
      events.authenticated({ ...this.#fields(), user: result.user, method })
      return answers.authenticated
    }
    const answer = this.#authReply(result.kind)
    events.authFailed({ ...this.#fields(), user: user.slice(0, 256), reply: answer })
    const delayMs = limits.authDelayMs * 2 ** this.#authFailures - (monotonic() - startedAt)
    this.#authFailures += 1
    if (result.kind === 'refused') this.offend('auth-failures')
    if (this.#banned) this.#closesAfterReply = true
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs).unref())
    return answer
  }

  #authReply(result: 'refused' | 'unavailable' | 'blocked'): Reply {
    if (result === 'unavailable') return answers.authUnavailable
    if (this.#authFailures + 1 >= this.#reception.limits.authFailures) return answers.authFlood
    return result === 'blocked' ? answers.authBlocked : answers.authFailed
  }

  #data(argument: string): void {
    const refusal = this.#transactions.mayReceive(argument)
    if (refusal !== undefined) return this.#answer(refusal)
    this.#beforeContent(
      () => (this._parser as SessionInput).hasMore,
      () => this.#receive(),
    )
  }

  /** Restrictions, then filters have their say before the content. */
  #beforeContent(hasMore: () => boolean, proceed: () => void): void {
    const asked = this.#transactions.mayReceiveRestricted(hasMore)
    if (asked === undefined) return this.#filtered('data', '', proceed)
    void asked.then((restricted) => {
      if (this._closing || this.#gone) return
      if (restricted !== undefined) this.#refuseContent(restricted)
      else this.#filtered('data', '', proceed)
    })
  }

  /** Once a session: what comes behind may be the client's own words, passed on. */
  get #mayForward(): boolean {
    return !this.forwarded && this.#reception.trustsClient?.(this.remoteAddress) === true
  }

  #xclient(argument: string): void {
    if (this.#reception.trustsClient === undefined) return this.#answer(answers.disabled)
    if (!this.#mayForward) return this.#answer(answers.notTrusted)
    if (this.#transactions.isOpen) return this.#answer(answers.outOfPlace)
    const client = parseXclient(argument)
    if (client === undefined) return this.#answer(answers.xclientSyntax)
    const place = this._server.exchangePlace(this.#accepted, client.address ?? this.remoteAddress)
    if (typeof place !== 'function') return this.drop(place)
    this.#place = place
    this.#become(client)
    this.#restricted('connect', this.restrictions?.connect(), () => void this.#greetForwarded(client))
  }

  /** What comes from a client that another one speaks for are his own words. */
  get #mayTellUpstream(): boolean {
    return !this.forwarded && this.#reception.trustsFilter?.(this.remoteAddress) === true
  }

  #xforward(argument: string): void {
    if (this.#reception.trustsFilter === undefined) return this.#answer(answers.disabled)
    if (!this.#mayTellUpstream) return this.#answer(answers.notTrusted)
    if (this.#transactions.isOpen) return this.#answer(answers.outOfPlace)
    this.#idleAnswer(this.#transactions.tellUpstream(argument) ? answers.ok : answers.xforwardSyntax)
  }

  /** The session begins again, with another client. */
  #become({ address, port, name, user, toAddress, toPort }: ForwardedClient): void {
    this.#transactions.reset()
    this.trace?.event('XCLIENT')
    this.filters?.close()
    this.restrictions?.close()
    this.remoteAddress = address ?? this.remoteAddress
    this.remotePort = port ?? (address === undefined ? this.remotePort : 0)
    this.#ownAddress = toAddress
    this.#ownPort = toPort
    this.#nameFound = name === undefined ? undefined : Promise.resolve(name)
    this.#nameVerified = undefined
    // Whoever passes clients on may have logged in himself; that is not theirs.
    this.session.user = user ?? false
    this.hostNameAppearsAs = false
    this.openingCommand = false
    this.#ask()
  }

  async #greetForwarded({ helo, extended = false, toAddress }: ForwardedClient): Promise<void> {
    try {
      if (toAddress !== undefined) await this.#nameThisHost()
    } catch (error) {
      return this.#refuseService(error)
    }
    if (this.filters?.observed === true) await this.#reportConnection(this.filters)
    const greet = (): void => {
      this.#answer({ code: 220, text: this.#reception.manners.greeting(this.hostname) })
      this.filters?.report('link-greeting', this.hostname)
    }
    const verb = extended ? 'EHLO' : 'HELO'
    this.#filtered('connect', '', () => (helo === undefined ? greet() : this.#identify(verb, helo, greet)))
  }

  #etrn(argument: string): void {
    const { etrn } = this.#reception
    if (etrn === undefined) return this.#answer(answers.disabled)
    const refusal = this.#mayMail()
    if (refusal !== undefined) return this.#answer(refusal)
    if (this.#transactions.isOpen) return this.#answer(answers.outOfPlace)
    this.#idleCommands += 1
    this.#answerSoon(etrn(argument, this.address))
  }

  /** Not before the client may send mail: where users must log in, members of lists are not told to others. */
  #expn(argument: string): void {
    const { expn } = this.#reception
    if (expn === undefined) return this.#answer(answers.disabled)
    const refusal = this.#mayMail()
    if (refusal !== undefined) return this.#answer(refusal)
    this.#idleCommands += 1
    this.#answerSoon(expn(argument, this.address))
  }

  #bdat(argument: string): void {
    const chunk = parseChunk(argument)
    // Nobody knows which of the octets that follow are commands.
    if (chunk === undefined) return this.drop(answers.chunkSyntax)
    if (isFlood(chunk.octets, this.#reception.configuration.maxMessageBytes)) return this.cutOff(replies.messageTooBig)
    this.#chunk = chunk
    const refusal = this.#transactions.mayTakeChunk()
    if (refusal !== undefined) return this.#refuseContent(refusal)
    if (this.#transactions.receiver !== undefined) return this.#takeChunk(chunk)
    this.#beforeContent(
      () => false,
      () => {
        this.filters?.reportMessage('tx-data', 'ok')
        this.#takeChunk(chunk)
      },
    )
  }

  #takeChunk(chunk: Chunk): void {
    const receiver = this.#transactions.chunkReceiver()
    if ('code' in receiver) return this.#refuseContent(receiver)
    this.#chunk = undefined
    if (chunk.octets === 0) this.#idleCommands += 1
    this.#read(chunk.octets, receiver, (done) => {
      if (chunk.last) return void this.#transactions.lastChunkTaken(done)
      this.#done = done
      this.#answerSoon(this.#transactions.chunkTaken(chunk))
    })
  }

  /** Behind BDAT the chunk is read first: none of it may be taken for a command (RFC 3030 §2). */
  #refuseContent(answer: Reply): void {
    const octets = this.#chunk?.octets ?? 0
    this.#chunk = undefined
    this.#read(octets, undefined, (done) => {
      this.#done = done
      this.#answer(answer)
    })
  }

  #read(octets: number, receiver: DataReceiver | undefined, onEnd: (done: () => void) => void): void {
    const input = this._parser as SessionInput
    const done = this.#done
    if (octets === 0) return done === undefined ? undefined : onEnd(done)
    input.receive(new ChunkReceiver(octets, receiver, onEnd))
    this.#next()
  }

  #receive(): void {
    const input = this._parser as SessionInput
    const { reply: answer, receiver } = this.#transactions.data(input.hasMore)
    if (this._closing) return
    if (receiver === undefined) return this.#answer(answer)
    input.receive(receiver)
    this.#reply(answer)
    this.filters?.reportMessage('tx-data', 'ok')
    this.#next()
  }

  #answerSoon(answer: Reply | Promise<Reply>, told?: Told): void {
    if (!(answer instanceof Promise)) return this.#answer(answer, told)
    void answer
      .catch((error: unknown) => {
        this.#reception.log.error({ err: error, session: this.id }, 'temporary failure')
        return replies.tryLater
      })
      .then((settled) => this.#answer(settled, told))
  }

  #idleAnswer(answer: Reply, told?: Told): void {
    this.#idleCommands += 1
    this.#answer(answer, told)
  }

  #answer(answer: Reply, told?: Told): void {
    if (this._closing) return
    this.#reply(answer)
    told?.(answer)
    const { limits } = this.#reception
    // A refused recipient is no error of the session: lists have stale addresses.
    if (answer.code >= 500 && this.#verb !== 'RCPT') this.#errors += 1
    if (isProtocolError(answer) && this.#verb !== 'DATA' && this.#verb !== 'BDAT') this.offend('protocol-errors')
    if (this.#banned) return this.drop(banned)
    if (answer.code === 452) this.#idleCommands += 1
    if (this.#transactions.refusedRecipients > limits.refusedRecipients) return this.drop(answers.tooManyRefused)
    if (this.#errors >= limits.errors) return this.drop(answers.tooManyErrors)
    if (this.#idleCommands > limits.idleCommands) return this.drop(answers.tooIdle)
    this.#next()
  }

  /** Reads on once the client has taken the replies so far: one that never reads must not fill our memory. */
  #next(): void {
    const done = this.#done
    this.#done = undefined
    this.#waitingSince = this.#reception.monotonic()
    if (done === undefined) return
    if (this._server.draining && !this._closing && this.#transactions.receiver === undefined)
      return this.drop(replies.shuttingDown)
    const socket = this._socket
    if (socket.writableNeedDrain && !socket.destroyed) socket.once('drain', done)
    else done()
  }

  /** Replies of smtp-server's own handlers: an enhanced code at the start of the text wins. */
  override send(code: number, text?: string | string[] | null, context?: string | false): void {
    const line = Array.isArray(text) ? text.join(' ') : (text ?? '')
    const coded = /^([245]\.\d{1,3}\.\d{1,3}) (.*)$/.exec(line)
    const enhanced = coded?.[1] ?? this._getEnhancedStatusCode(code, context)
    this.#reply({ code, ...(enhanced === '' ? {} : { enhanced }), text: coded?.[2] ?? line })
    if (code === 421) this.close()
  }

  #reply(said: Reply): void {
    const answer = withStatusCode(said)
    const { code, enhanced, text } = answer
    if (this.filters?.observed === true) this.#reportReply(answer)
    const prefix = enhanced === undefined ? '' : `${enhanced} `
    if (!text.includes('\n')) return this.#write(`${code} ${prefix}${oneLine(text)}\r\n`)
    const lines = text.split('\n')
    const last = lines.length - 1
    this.#write(lines.map((line, index) => `${code}${index < last ? '-' : ' '}${prefix}${oneLine(line)}\r\n`).join(''))
  }

  #reportReply({ code, enhanced, text }: Reply): void {
    const lines = text.split('\n')
    lines.forEach((line, index) => {
      const words = enhanced === undefined ? line : `${enhanced} ${line}`
      this.filters?.report('protocol-server', `${code}${index < lines.length - 1 ? '-' : ' '}${oneLine(words)}`)
    })
  }

  /** Replies of one turn go out together (RFC 2920 §3.2). */
  #write(text: string): void {
    this.talk?.server(text)
    if (this.#output === '') process.nextTick(() => this.#flush())
    this.#output += text
  }

  #flush(): void {
    const text = this.#output
    this.#output = ''
    // While a handshake runs, the socket below must stay silent.
    if (text !== '' && !this._upgrading && this._socket.writable) this._socket.write(text)
  }

  override close(): void {
    this.#flush()
    super.close()
  }

  override _onClose(): void {
    super._onClose()
    if (this.#gone) return
    this.#gone = true
    this.#dialogue?.end()
    this.#transactions.close()
    this.trace?.end()
    this.filters?.close()
    this.restrictions?.close()
    this.#place?.()
    this._server.forget(this, this.#accepted)
    if (this._ready) this.#reception.events.disconnected({ ...this.#fields(), tookMs: this.sessionMs })
  }

  /** A reset connection or a failed handshake ends the session, never the process. */
  override _onError(error: Error): void {
    this.#reception.log.debug({ err: error, session: this.id, address: this.remoteAddress }, 'session broke off')
    const failure = handshakeFailure(error)
    if (failure !== undefined && !this._closing)
      this.#reception.events.tlsFailed({ ...this.#fields(), reason: failure.reason })
    this.close()
  }

  /** The server's sweep keeps the time. */
  override _armTimeout(): void {}

  /** After STARTTLS nothing the client said before counts (RFC 3207 §4.2). */
  override _resetSession(): void {
    this.#transactions.reset()
    this.filters?.abandonMessage()
  }

  /** The same of a decision: with what was in force. */
  #decided(): SessionFields & { readonly revision: string } {
    return { ...this.#fields(), revision: this.#reception.configuration.revision }
  }

  #fields(): SessionFields {
    return { session: this.id, listener: this.#reception.name, address: this.remoteAddress }
  }
}

/** RFC 3463 §3.6: of the protocol, not of the mail. */
function isProtocolError({ code, enhanced }: Reply): boolean {
  return code >= 500 && enhanced?.startsWith('5.5.') === true
}

type Told = (answer: Reply) => void

/** In place of what a client says to log in. */
const masked = '********'

/** A command line without its credentials. */
function safe(line: string): string {
  return line.replace(/^(AUTH +\S+) .*$/i, `$1 ${masked}`)
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

const authEvents = { accepted: 'pass', refused: 'fail', blocked: 'fail', unavailable: 'error' } as const

/** Under which stage a refusal by a filter is told. */
const stages = {
  starttls: 'helo',
  rset: 'helo',
  noop: 'helo',
  quit: 'helo',
  connect: 'connect',
  helo: 'helo',
  ehlo: 'helo',
  auth: 'auth',
  'mail-from': 'mail',
  'rcpt-to': 'rcpt',
  data: 'data',
  commit: 'data',
} as const

/** A reply is built from other people's texts too (tables, filters): a control character would split it. */
function oneLine(text: string): string {
  return hasControl(text) ? text.replaceAll(controls, ' ') : text
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

const controls = new RegExp(String.raw`[\u0000-\u001f\u007f]`, 'g')

function reply(code: number, enhanced: string, text: string): Reply {
  return { code, enhanced, text }
}
