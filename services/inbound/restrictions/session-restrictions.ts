import type { Restriction, RestrictionStage } from '../../../shared/config/model.ts'
import type { Mailbox, ReversePath } from '../../../shared/mail/address.ts'
import type { Reply } from '../../../shared/mail/reply.ts'
import type { ClientName } from '../../../shared/client-name.ts'
import type { Resolution } from '../reception.ts'
import type { RuleHits } from '../../../shared/rule-hits/rule-hits.ts'
import { evaluate } from '../../../shared/restrictions/evaluate.ts'
import type { Verdict } from '../../../shared/restrictions/evaluate.ts'
import type { ClientCertificate, Means, Question, SaidPath } from '../../../shared/restrictions/question.ts'
import { asksForRecipient } from '../../../shared/restrictions/restriction-lists.ts'
import type { RestrictionLists } from '../../../shared/restrictions/restriction-lists.ts'

/** The session that is restricted, as it is when a list asks. */
export interface RestrictedSession {
  readonly address: string
  /** A trusted client spoke for this one: it is not this host. */
  readonly forwarded: boolean
  readonly helo: string
  readonly user: string | undefined
  readonly tls: object | undefined
  /** Absent: it has proved none, or another one speaks for it. */
  readonly certificate: ClientCertificate | undefined
  clientName(): Promise<ClientName>
}

/** What the sessions of one listener share. */
export interface Restrictions {
  readonly lists: RestrictionLists
  readonly means: Omit<Means, 'sleep'>
  /** Whether an address is this host's. */
  readonly isOwn: (address: string) => boolean
  /** @throws TableError */
  readonly asStranger: (mailbox: Mailbox, sender: ReversePath) => Promise<Resolution>
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly hits?: Pick<RuleHits, 'count'>
}

/** A restriction refuses: what the client is told, and where the restriction stands. */
export interface RestrictionRefusal {
  readonly reply: Reply
  /** `pipeline.conf:12`. */
  readonly by: string
}

/** Commands that RFC 2920 §3.1 wants at the end of a group. */
const endsGroup: ReadonlySet<string> = new Set(['EHLO', 'HELO', 'DATA', 'VRFY', 'EXPN', 'ETRN', 'STARTTLS', 'AUTH'])
const delayedStages = ['connect', 'helo', 'mail', 'rcpt'] as const

/** What lasts from MAIL to the next one. */
interface Scope {
  readonly sender: SaidPath
  /** Of lists that say nothing about a recipient: gone through once. */
  readonly verdicts: Map<RestrictionStage, Promise<Verdict>>
  readonly met: Set<Restriction>
}

/** The restrictions of one session. Every answer throws what a table that cannot be read throws: 451. */
export class SessionRestrictions {
  readonly #restrictions: Restrictions
  readonly #session: RestrictedSession
  readonly #ended = new AbortController()
  #pipelined = false
  #scope: Scope | undefined

  constructor(restrictions: Restrictions, session: RestrictedSession) {
    this.#restrictions = restrictions
    this.#session = session
  }

  get takesBare(): RestrictionLists['takesBare'] {
    return this.#restrictions.lists.takesBare
  }

  /** A command came in; `extended`: under EHLO, `hasMore`: the next one is here already. */
  sawCommand(verb: string, extended: boolean, hasMore: () => boolean): void {
    if (!this.#restrictions.lists.watchesPipelining || this.#pipelined) return
    if ((!extended || endsGroup.has(verb)) && hasMore()) {
      this.#pipelined = true
      this.#scope?.verdicts.clear()
    }
  }

  /** Before the greeting; `undefined`: nothing is asked now. */
  connect(): Promise<RestrictionRefusal | undefined> | undefined {
    return this.#early('connect') ? this.#ask(['connect'], {}) : undefined
  }

  helo(helo: string): Promise<RestrictionRefusal | undefined> | undefined {
    return this.#early('helo') ? this.#ask(['helo'], { helo }) : undefined
  }

  /** A transaction begins. */
  mail(sender: SaidPath): Promise<RestrictionRefusal | undefined> {
    this.#scope = { sender, verdicts: new Map(), met: new Set() }
    return this.#early('mail') ? this.#ask(['mail'], {}) : Promise.resolve(undefined)
  }

  rcpt(recipient: SaidPath): Promise<RestrictionRefusal | undefined> {
    // Mail for a bare postmaster is always taken (RFC 5321 §4.5.1).
    if (recipient.bare && recipient.text.toLowerCase() === 'postmaster') return Promise.resolve(undefined)
    return this.#ask(this.#restrictions.lists.delayed ? delayedStages : ['rcpt'], { recipient })
  }

  /** `undefined`: nothing is asked. */
  data(): Promise<RestrictionRefusal | undefined> | undefined {
    return this.#listOf('data').length > 0 ? this.#ask(['data'], {}) : undefined
  }

  /** The session is over: who sleeps wakes. */
  close(): void {
    this.#ended.abort()
  }

  #early(stage: RestrictionStage): boolean {
    return !this.#restrictions.lists.delayed && this.#listOf(stage).length > 0
  }

  #listOf(stage: RestrictionStage): readonly Restriction[] {
    return this.#restrictions.lists.stages.get(stage) ?? []
  }

  async #ask(
    stages: readonly RestrictionStage[],
    said: Pick<Question, 'helo' | 'recipient'>,
  ): Promise<RestrictionRefusal | undefined> {
    for (const stage of stages) {
      const verdict = await this.#verdictOf(stage, said)
      this.#tell(stage, verdict)
      if (verdict.kind === 'refused') return { reply: verdict.reply, by: placeOf(verdict.by) }
    }
    return undefined
  }

  #verdictOf(stage: RestrictionStage, said: Pick<Question, 'helo' | 'recipient'>): Promise<Verdict> {
    const list = this.#listOf(stage)
    const known = this.#scope?.verdicts.get(stage)
    if (known !== undefined) return known
    const verdict = evaluate(list, this.#question(said), this.#means())
    const verdicts = this.#scope?.verdicts
    if (said.recipient !== undefined && asksForRecipient(list)) return verdict
    verdicts?.set(stage, verdict)
    verdict.catch(() => verdicts?.delete(stage))
    return verdict
  }

  #means(): Means {
    const { means, sleep } = this.#restrictions
    return { ...means, sleep: (ms) => sleep(ms, this.#ended.signal) }
  }

  #question(said: Pick<Question, 'helo' | 'recipient'>): Question {
    const { isOwn, asStranger } = this.#restrictions
    const { address, helo, user, tls, certificate } = this.#session
    const scope = this.#scope
    const met = scope?.met ?? new Set()
    return {
      client: { address, own: !this.#session.forwarded && isOwn(address), name: () => this.#session.clientName() },
      secure: tls !== undefined,
      pipelined: this.#pipelined,
      ...(certificate === undefined ? {} : { certificate }),
      ...(helo === '' ? {} : { helo }),
      ...(user === undefined ? {} : { user }),
      ...(scope === undefined ? {} : { sender: scope.sender }),
      ...said,
      asStranger: (mailbox) => asStranger(mailbox, scope?.sender.mailbox ?? null),
      firstTime(restriction) {
        const isFirst = !met.has(restriction)
        met.add(restriction)
        return isFirst
      },
    }
  }

  #tell(stage: RestrictionStage, verdict: Verdict): void {
    if (verdict.by === undefined) return
    this.#restrictions.hits?.count(verdict.by.text)
    if (verdict.kind === 'refused') return
    const { log } = this.#restrictions.means
    log.debug({ stage, address: this.#session.address, restriction: placeOf(verdict.by) }, 'permitted')
  }
}

function placeOf({ at }: Restriction): string {
  return `${at.file}:${at.line}`
}
