import { randomBytes } from 'node:crypto'

import { settle } from '../../shared/config/settle.ts'
import type { BuiltinFilter, Filter, FilterDecision, FilterPhase, FilterProcess } from '../../shared/config/model.ts'
import type { FilterSupervisor } from '../../shared/filter-host/filter-supervisor.ts'
import type { Logger } from '../../shared/log.ts'
import { formatReply, isPermanent, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { ClientName } from '../../shared/client-name.ts'
import { filterHolds, needsClientName } from './filter-condition.ts'
import type { FilterSubject, FilterTables } from './filter-condition.ts'
import { FilterLink } from './filter-link.ts'
import type { LineRewriter } from './filtered-content.ts'
import { parseFilterReply } from './filter-reply.ts'
import { addressOf } from './mail-command.ts'

/** Steps of a session that filters are asked at; built-in ones know fewer. */
export type SessionPhase = FilterPhase | 'starttls' | 'rset' | 'noop' | 'quit'

/** What the filters of a listener say to one step of a session. */
export type Verdict =
  /** `argument` is that of the command, as the filters leave it. */
  { readonly kind: 'proceed'; readonly argument: string } | Refusal

export interface Refusal {
  readonly kind: 'refused'
  readonly reply: Reply
  readonly disconnect: boolean
}

export interface FilterParts {
  readonly chain: readonly Filter[]
  readonly processes: ReadonlyMap<FilterProcess, FilterSupervisor>
  readonly tables: FilterTables
  /** A filter has something to tell the operator. */
  readonly report: (filter: string, text: string) => void
  readonly log: Logger
}

/** What filters ask their session. */
export interface FilteredClient {
  readonly id: string
  readonly address: string
  readonly helo: string
  readonly user: string | undefined
  /** Looked up once a session. */
  clientName(): Promise<ClientName>
}

/** What one filter decides, built in or not. */
type Decision = FilterDecision | Refusal

const nobodyKnows: Reply = { code: 451, enhanced: '4.4.3', text: 'Your host name cannot be looked up now, try later' }
const unasked: ClientName = { forward: 'error' }
/** Names of phases in the event `filter-response`, where they differ. */
const responseNames: Partial<Record<SessionPhase, string>> = { connect: 'connected', starttls: 'tls' }

/** The filters of one session, asked in the order of the chain at each phase (SMTPD_CONF section 9). */
export class SessionFilters {
  readonly #parts: FilterParts
  readonly #client: FilteredClient
  readonly #links = new Map<FilterProcess, FilterLink>()
  #junkSession = false
  #junkMessage = false
  #mailFrom: string | undefined
  /** Of the transaction, for the events: eight hex digits. */
  #messageId: string | undefined

  constructor(parts: FilterParts, client: FilteredClient) {
    this.#parts = parts
    this.#client = client
    const id = randomBytes(8).toString('hex')
    for (const filter of parts.chain) {
      if (filter.kind !== 'process' || this.#links.has(filter.process)) continue
      const supervisor = parts.processes.get(filter.process)
      if (supervisor === undefined) throw new Error(`the filter process "${filter.process.name}" was not started`)
      this.#links.set(filter.process, new FilterLink(supervisor, id, parts.log))
    }
  }

  /** The message gets `X-Spam: Yes`. */
  get junk(): boolean {
    return this.#junkSession || this.#junkMessage
  }

  /** A process follows the session: events are worth making. */
  get observed(): boolean {
    return this.#links.size > 0
  }

  /**
   * The verdict on one step. `argument` is what stands behind the command, or behind `FROM:` and `TO:`. Never rejects: what
   * goes wrong is told to the client as a temporary failure.
   */
  async decide(phase: SessionPhase, argument: string, user = this.#client.user): Promise<Verdict> {
    if (phase === 'mail-from') this.#junkMessage = false
    try {
      return await this.#ask(phase, argument, user)
    } catch (error) {
      this.#parts.log.error({ err: error, session: this.#client.id, phase }, 'a filter cannot decide')
      return { kind: 'refused', reply: replies.tryLater, disconnect: phase === 'connect' }
    }
  }

  /** An event for the processes that asked for it; fields in the order of protocol 0.7. */
  report(event: string, ...fields: readonly string[]): void {
    for (const link of this.#links.values()) link.report(event, fields)
  }

  /** An event about the transaction. */
  reportMessage(event: string, ...fields: readonly string[]): void {
    if (this.#messageId !== undefined) this.report(event, this.#messageId, ...fields)
  }

  /** MAIL was answered. */
  mailAnswered(reply: Reply, path: string): void {
    if (reply.code === 250) {
      this.#messageId = randomBytes(4).toString('hex')
      this.reportMessage('tx-begin')
    }
    this.report('tx-mail', this.#messageId ?? '00000000', resultOf(reply), addressOf(path))
  }

  /** The rules took a forward-path, and made so many recipients of it. */
  recipientsAdded(count: number): void {
    for (let added = 0; added < count; added += 1)
      this.reportMessage('tx-envelope', `${this.#messageId}${randomBytes(4).toString('hex')}`)
  }

  /** The message was taken (`sizeBytes`), or was not. */
  messageEnded(sizeBytes: number | undefined): void {
    if (sizeBytes === undefined) return this.abandonMessage()
    this.reportMessage('tx-commit', String(sizeBytes))
    this.reportMessage('tx-reset')
    this.#messageId = undefined
  }

  /** The transaction, when there is one, was broken off. */
  abandonMessage(): void {
    this.reportMessage('tx-rollback')
    this.reportMessage('tx-reset')
    this.#messageId = undefined
  }

  close(): void {
    if (!this.observed) return
    this.abandonMessage()
    this.report('link-disconnect')
    for (const link of this.#links.values()) link.close()
  }

  /** The processes that the lines of a message go through; empty: the message is taken as it is. */
  get rewriters(): readonly LineRewriter[] {
    return [...this.#links.values()].filter((link) => link.rewritesLines)
  }

  async #ask(phase: SessionPhase, argument: string, user: string | undefined): Promise<Verdict> {
    let left = argument
    let response: readonly string[] = ['proceed']
    for (const filter of this.#parts.chain) {
      const decision =
        filter.kind === 'builtin'
          ? await this.#builtinDecision(filter, phase, left, user)
          : await this.#processDecision(filter.process, phase, left)
      if (decision === undefined) continue
      switch (decision.kind) {
        case 'refused':
          this.#respond(phase, ['reject', formatReply(decision.reply)])
          return decision
        case 'reject':
        case 'disconnect':
          this.#respond(phase, [decision.kind, decision.text])
          return this.#refuse(filter, phase, decision)
        case 'rewrite':
          left = decision.value
          response = ['rewrite', left]
          break
        case 'junk':
          this.#mark(phase)
          response = ['junk']
          break
        case 'report':
          this.#parts.report(filter.name, decision.text)
          this.report('filter-report', filter.kind === 'builtin' ? 'builtin' : 'proc', filter.name, decision.text)
          break
        case 'bypass':
          return this.#proceed(phase, left, response)
      }
    }
    return this.#proceed(phase, left, response)
  }

  #proceed(phase: SessionPhase, argument: string, response: readonly string[]): Verdict {
    this.#respond(phase, response)
    if (phase === 'mail-from') this.#mailFrom = addressOf(argument)
    return { kind: 'proceed', argument }
  }

  #respond(phase: SessionPhase, response: readonly string[]): void {
    this.report('filter-response', responseNames[phase] ?? phase, ...response)
  }

  async #builtinDecision(
    filter: BuiltinFilter,
    phase: SessionPhase,
    argument: string,
    user: string | undefined,
  ): Promise<Decision | undefined> {
    if (filter.phase !== phase) return undefined
    const client = needsClientName(filter.condition) ? await this.#client.clientName() : unasked
    const subject = this.#subject(phase, argument, user)
    const holds = await settle(this.#parts.tables, (tables) => filterHolds(filter.condition, subject, client, tables))
    return holds ? filter.decision : undefined
  }

  async #processDecision(process: FilterProcess, phase: SessionPhase, argument: string): Promise<Decision | undefined> {
    const answer = await this.#links.get(process)?.ask(phase, await this.#fieldsOf(phase, argument))
    switch (answer?.kind) {
      case undefined:
      case 'proceed':
        return undefined
      case 'failed': {
        const reply = phase === 'connect' ? { ...replies.tryLater, code: 421 } : replies.tryLater
        return { kind: 'refused', reply, disconnect: phase === 'connect' }
      }
      case 'junk':
        return phase === 'commit' ? undefined : { kind: 'junk' }
      case 'rewrite':
        return { kind: 'rewrite', value: answer.text }
      case 'reject':
      case 'disconnect':
      case 'report':
        return { kind: answer.kind, text: answer.text }
    }
  }

  /** The argument as processes see it. */
  async #fieldsOf(phase: SessionPhase, argument: string): Promise<readonly string[]> {
    if (phase === 'mail-from' || phase === 'rcpt-to') return [addressOf(argument)]
    if (phase === 'auth') return [`${argument} ********`]
    if (phase !== 'connect') return [argument]
    const { name = '<unknown>' } = await this.#client.clientName()
    const { address } = this.#client
    return [name, address.includes(':') ? `[${address}]` : address]
  }

  #subject(phase: SessionPhase, argument: string, user: string | undefined): FilterSubject {
    const { address, helo } = this.#client
    const introduced = phase === 'helo' || phase === 'ehlo' ? argument : helo
    const mailFrom = phase === 'mail-from' ? addressOf(argument) : this.#mailFrom
    return {
      address,
      ...(introduced === '' ? {} : { helo: introduced }),
      ...(user === undefined ? {} : { user }),
      ...(mailFrom === undefined ? {} : { mailFrom }),
      ...(phase === 'rcpt-to' ? { rcptTo: addressOf(argument) } : {}),
    }
  }

  /** Nobody is refused for good because DNS did not answer. */
  async #refuse(
    filter: Filter,
    phase: SessionPhase,
    decision: { readonly kind: string; readonly text: string },
  ): Promise<Refusal> {
    const reply = parseFilterReply(decision.text)
    const disconnect = decision.kind === 'disconnect' || reply.code === 421 || phase === 'connect'
    const asksName = filter.kind === 'builtin' && needsClientName(filter.condition)
    const unsure = asksName && (await this.#client.clientName()).forward === 'error'
    return { kind: 'refused', reply: unsure && isPermanent(reply) ? nobodyKnows : reply, disconnect }
  }

  /** Before MAIL it is the session that is junk, from then on the message. */
  #mark(phase: SessionPhase): void {
    if (phase === 'mail-from' || phase === 'rcpt-to' || phase === 'data') this.#junkMessage = true
    else this.#junkSession = true
  }
}

/** How events tell a reply. */
export function resultOf({ code }: Reply): 'ok' | 'tempfail' | 'permfail' {
  if (code < 400) return 'ok'
  return code < 500 ? 'tempfail' : 'permfail'
}
