import type { BuiltinFilter, Filter, FilterDecision, FilterPhase } from '../../shared/config/model.ts'
import type { Logger } from '../../shared/log.ts'
import { isPermanent, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { ClientName } from './client-name.ts'
import { filterHolds, needsClientName } from './filter-condition.ts'
import type { FilterSubject, FilterTables } from './filter-condition.ts'
import { parseFilterReply } from './filter-reply.ts'
import { addressOf } from './mail-command.ts'

/** What the filters of a listener say to one step of a session. */
export type Verdict =
  /** `argument` is that of the command, as the filters leave it. */
  | { readonly kind: 'proceed'; readonly argument: string }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly disconnect: boolean }

export interface FilterParts {
  readonly chain: readonly Filter[]
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

const nobodyKnows: Reply = { code: 451, enhanced: '4.4.3', text: 'Your host name cannot be looked up now, try later' }
const unasked: ClientName = { forward: 'error' }

/** The filters of one session, asked in the order of the chain at each phase (SMTPD_CONF section 9). */
export class SessionFilters {
  readonly #parts: FilterParts
  readonly #client: FilteredClient
  #junkSession = false
  #junkMessage = false
  #mailFrom: string | undefined

  constructor(parts: FilterParts, client: FilteredClient) {
    this.#parts = parts
    this.#client = client
  }

  /** The message gets `X-Spam: Yes`. */
  get junk(): boolean {
    return this.#junkSession || this.#junkMessage
  }

  /**
   * The verdict on one step. `argument` is what stands behind the command, or behind `FROM:` and `TO:`. Never rejects: what
   * goes wrong is told to the client as a temporary failure.
   */
  async decide(phase: FilterPhase, argument: string, user = this.#client.user): Promise<Verdict> {
    if (phase === 'mail-from') this.#junkMessage = false
    try {
      return await this.#ask(phase, argument, user)
    } catch (error) {
      this.#parts.log.error({ err: error, session: this.#client.id, phase }, 'a filter cannot decide')
      return { kind: 'refused', reply: replies.tryLater, disconnect: phase === 'connect' }
    }
  }

  async #ask(phase: FilterPhase, argument: string, user: string | undefined): Promise<Verdict> {
    let left = argument
    for (const filter of this.#parts.chain) {
      if (filter.kind !== 'builtin' || filter.phase !== phase) continue
      const decision = await this.#decisionOf(filter, left, user)
      switch (decision?.kind) {
        case undefined:
          break
        case 'reject':
        case 'disconnect':
          return this.#refuse(filter, decision)
        case 'rewrite':
          left = decision.value
          break
        case 'junk':
          this.#mark(phase)
          break
        case 'report':
          this.#parts.report(filter.name, decision.text)
          break
        case 'bypass':
          return this.#proceed(phase, left)
      }
    }
    return this.#proceed(phase, left)
  }

  #proceed(phase: FilterPhase, argument: string): Verdict {
    if (phase === 'mail-from') this.#mailFrom = addressOf(argument)
    return { kind: 'proceed', argument }
  }

  async #decisionOf(
    filter: BuiltinFilter,
    argument: string,
    user: string | undefined,
  ): Promise<FilterDecision | undefined> {
    const client = needsClientName(filter.condition) ? await this.#client.clientName() : unasked
    const subject = this.#subject(filter.phase, argument, user)
    return filterHolds(filter.condition, subject, client, this.#parts.tables) ? filter.decision : undefined
  }

  #subject(phase: FilterPhase, argument: string, user: string | undefined): FilterSubject {
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
  async #refuse(filter: BuiltinFilter, decision: { readonly kind: string; readonly text: string }): Promise<Verdict> {
    const reply = parseFilterReply(decision.text)
    const disconnect = decision.kind === 'disconnect' || reply.code === 421 || filter.phase === 'connect'
    const unsure = needsClientName(filter.condition) && (await this.#client.clientName()).forward === 'error'
    return { kind: 'refused', reply: unsure && isPermanent(reply) ? nobodyKnows : reply, disconnect }
  }

  /** Before MAIL it is the session that is junk, from then on the message. */
  #mark(phase: FilterPhase): void {
    if (phase === 'mail-from' || phase === 'rcpt-to' || phase === 'data') this.#junkMessage = true
    else this.#junkSession = true
  }
}
