import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import type { Logger } from './log.ts'
import type { Mailbox, ReversePath } from './mail/address.ts'
import type { HopTls } from './mail/disposition.ts'
import type { EventName } from './mail/event-names.ts'
import type { MessageId } from './mail/message-id.ts'
import type { RelayOrder } from './mail/envelope.ts'
import type { HeaderEdit } from './mail/header-edit.ts'
import { classifyReply } from './mail/reply-class.ts'
import { formatReply, isPositive } from './mail/reply.ts'
import type { Reply } from './mail/reply.ts'
import type { RuleHits } from './rule-hits/rule-hits.ts'
import type { SessionLog } from './session-log.ts'

/** An SMTP session, not yet about a message. */
export interface SessionFields {
  readonly session: string
  readonly listener: string
  readonly address: string
}

/** One recipient's copy and what the next hop said; the class of a refusal is added. */
export interface AttemptFields {
  readonly id: MessageId
  readonly recipient: Mailbox
  /** Index into the envelope's recipients: two copies may have one address. */
  readonly rcpt: number
  readonly stage: string
  readonly reply: Reply
  readonly remoteMta?: string | undefined
  /** Version and cipher of TLS with it, and what its certificate was held against. */
  readonly tls?: string | undefined
  readonly tlsTrust?: HopTls['trust'] | undefined
  /** Plain text was spoken although it offered STARTTLS. */
  readonly starttls?: 'offered, not used' | undefined
  /** What was said, a line each: `C: MAIL FROM:<a@b>` (`events smtp-talk`). */
  readonly talk?: readonly string[] | undefined
  readonly action?: string | undefined
  /** Since acceptance. */
  readonly ageMs: number
}

/** Copies of a message, as indexes into the envelope's recipients. */
export interface CopiesFields {
  readonly id: MessageId
  readonly rcpt: readonly number[]
}

/** A message as it comes to a queue; absent is what it has none of. */
export interface Arrival {
  /** Beyond those of its acceptance. */
  readonly edits?: readonly HeaderEdit[]
  /** Queues visited before, in order. */
  readonly path?: readonly string[]
  /** Relay: the next domain or smarthost. */
  readonly destination?: string
  readonly order?: RelayOrder
}

/** What rules may ask about the client of a transaction, besides its address. */
export interface OriginFields {
  readonly helo?: string | undefined
  readonly user?: string | undefined
  readonly tls?: string | undefined
  /** Its verified name; `null`: it has none. */
  readonly rdns?: string | null | undefined
  readonly thisHost?: true | undefined
  /** The addresses of RCPT, in the order of `to`, when an alias or `canonical` leads from one of them elsewhere. */
  readonly asked?: readonly Mailbox[] | undefined
}

/**
 * One function per mail event: it writes the log line, counts it, and adds it to the message's story. Each name and its
 * fields exist here once.
 */
export interface Events {
  connected(fields: SessionFields): void
  /** A TLS handshake with a client is done. */
  secured(
    fields: SessionFields & {
      readonly version: string
      readonly cipher: string
      readonly resumed: boolean
      readonly servername?: string
      readonly clientSubject?: string
      readonly clientFingerprint?: string
    },
  ): void
  /** A TLS handshake with a client came to nothing. */
  tlsFailed(fields: SessionFields & { readonly reason: string }): void
  disconnected(fields: SessionFields & { readonly tookMs: number }): void
  authenticated(fields: SessionFields & { readonly user: string; readonly method: string }): void
  authFailed(fields: SessionFields & { readonly user?: string | undefined; readonly reply: Reply }): void
  /** Refused in the session: nothing was accepted. */
  rejected(
    fields: SessionFields & {
      readonly stage: 'connect' | 'helo' | 'auth' | 'mail' | 'rcpt' | 'data'
      readonly reply: Reply
      readonly id?: MessageId | undefined
      readonly from?: ReversePath | undefined
      readonly to?: string | undefined
      /** The `restrict` that refuses, file:line. */
      readonly restriction?: string | undefined
      /** Of the configuration that was in force. */
      readonly revision?: string | undefined
      /** At the end of DATA: for whom it was. */
      readonly recipients?: readonly Mailbox[] | undefined
    } & OriginFields,
  ): void
  /** More than a `rate` of pipeline.conf (`rule` is file:line) allows; told once, until it is less again. */
  rateExceeded(
    fields: SessionFields & {
      readonly user: string | undefined
      readonly rule: string
      readonly count: number
      readonly unit: string
    },
  ): void
  /** A `ban` of pipeline.conf keeps a client out until then, epoch ms. */
  banned(
    fields: SessionFields & {
      readonly client: string
      readonly offence: string
      readonly rule: string
      readonly until: number
    },
  ): void
  /** A filter of smtpd.conf had something to say about a session. */
  filterReport(fields: SessionFields & { readonly filter: string; readonly text: string }): void
  /** On disk, answered 250. */
  received(
    fields: {
      readonly id: MessageId
      readonly from: ReversePath
      readonly to: readonly Mailbox[]
      readonly sizeBytes: number
      readonly listener?: string | undefined
      readonly address?: string | undefined
      /** Where it came from before a content filter handed it over: `mail.example.net[192.0.2.7]:4711 as ABC`. */
      readonly upstream?: string | undefined
      /** The Message-ID field, at most 256 characters of it. */
      readonly messageId?: string | undefined
      /** What client and server said, a line each: `C: MAIL FROM:<a@b>` (`events smtp-talk`). */
      readonly talk?: readonly string[] | undefined
      /** The Subject field, decoded, at most 256 characters of it (`events subjects`). */
      readonly subject?: string | undefined
      readonly tookMs?: number | undefined
      /** Since it was connected. */
      readonly sessionMs?: number | undefined
      /** Id of its trace, when it is recorded. */
      readonly trace?: string | undefined
    } & OriginFields,
  ): void
  /** On disk, and made here: a report, a notice, a message of an operator. */
  made(fields: {
    readonly id: MessageId
    readonly from: ReversePath
    readonly to: readonly Mailbox[]
    readonly sizeBytes: number
    readonly trace?: string | undefined
  }): void
  /** The rules sent recipients somewhere; `rule` is file:line. */
  routed(fields: {
    readonly id: MessageId
    readonly to: readonly Mailbox[]
    /** Indexes of `to` into the envelope's recipients. */
    readonly rcpt: readonly number[]
    readonly rule: string
    /** The statement, by which its hits are counted: not written. */
    readonly ruleText?: string | undefined
    /** Of the configuration that has the rule. */
    readonly revision: string
    readonly queue: string
    readonly action?: string | undefined
    readonly tags: readonly string[]
    /** As it comes to the queue, for a replay from there: in the journal alone. */
    readonly arrival?: Arrival | undefined
  }): void
  /** The filter's verdict. */
  filtered(fields: {
    readonly id: MessageId
    readonly verdict: string
    readonly score: number
    /** `NAME score text` of each finding. */
    readonly symbols: readonly string[]
    /** Why it is not clean. */
    readonly reason?: string
    readonly authentication?: string | undefined
    /** A rejection would have reached who sent it, and nobody else. */
    readonly mayReject?: boolean
    /** Of the configuration it was judged by. */
    readonly revision?: string
    /** What single engines demand, whatever the score. */
    readonly demands?: readonly {
      readonly action: string
      readonly kind: string
      readonly reason: string
    }[]
  }): void
  /** A stage decided while the client waited; nothing was accepted yet. */
  judged(fields: {
    readonly id: MessageId
    readonly stage: string
    readonly decision: 'pass' | 'hold' | 'discard' | 'reject'
    readonly tookMs: number
  }): void
  /** Nobody decided while the client waited: once it is accepted, the message goes to the stage's queue. */
  undecided(fields: {
    readonly id: MessageId
    readonly stage: string
    readonly reason: string
    readonly tookMs: number
  }): void
  signed(fields: {
    readonly id: MessageId
    readonly domain: string
    readonly selector: string
    readonly algorithm: string
    /** It is an ARC seal. */
    readonly arc?: true
  }): void
  /** A stage is done and put its tag on. */
  passed(fields: {
    readonly id: MessageId
    readonly stage: string
    readonly tag: string
    readonly tookMs: number
  }): void
  delivered(fields: AttemptFields): void
  relayed(fields: AttemptFields): void
  /** What the domain asks of TLS was not met. `testing`: the mail went all the same. */
  tlsPolicyFailed(fields: {
    readonly id: MessageId
    readonly policy: 'mta-sts' | 'dane'
    readonly domain: string
    readonly mode: 'enforce' | 'testing'
    readonly remoteMta?: string | undefined
    readonly reason: string
  }): void
  /** A destination asked for less, or could not be reached: all relay processes leave it alone for `forMs`, then try it with one message. */
  suspended(fields: {
    readonly id: MessageId
    readonly destination: string
    readonly reply: Reply
    readonly forMs: number
  }): void
  delayed(fields: AttemptFields & { readonly nextAt: number; readonly attempts: number }): void
  failed(fields: AttemptFields): void
  expired(fields: AttemptFields): void
  /** An attempt broke off, nobody knows after which step; it is made again, so these may get a second copy. */
  mayRepeat(fields: { readonly id: MessageId; readonly stage: string; readonly to: readonly Mailbox[] }): void
  /** A stage broke off or gave no decision in time. */
  deferred(fields: {
    readonly id: MessageId
    readonly stage: string
    readonly reason: string
    /** `defer`: again on the schedule; `proceed`: on without the stage. */
    readonly policy: 'defer' | 'proceed'
  }): void
  /** A report about `about` went to its sender as message `id`. */
  reported(fields: {
    readonly id: MessageId
    readonly about: MessageId
    readonly to: Mailbox
    readonly action: string
  }): void
  /** The address, or its domain, has had too many reports: this one is not sent (`bounces limit`). */
  reportDropped(fields: {
    readonly id: MessageId
    readonly to: Mailbox
    readonly action: string
    readonly limit: string
  }): void
  /** An aggregate report about a day went to a domain that asks for it; `count`: messages (DMARC), sessions (TLS). */
  aggregateReportSent(fields: {
    readonly kind: 'dmarc' | 'tls'
    readonly day: string
    readonly domain: string
    readonly to?: string
    readonly count: number
    /** Of the mail; absent: by HTTPS. */
    readonly id?: MessageId
  }): void
  /** It could not go there; `again`: for now. */
  aggregateReportFailed(fields: {
    readonly kind: 'dmarc' | 'tls'
    readonly day: string
    readonly domain: string
    readonly to?: string
    readonly count: number
    readonly reason: string
    readonly again: boolean
  }): void
  /** A bounce that could not be delivered is dropped. */
  doubleBounced(fields: { readonly id: MessageId; readonly recipient: Mailbox; readonly reply: Reply }): void
  /** It brought a report on us; `known`: the same one is kept already. */
  reportReceived(fields: {
    readonly id: MessageId
    readonly kind: string
    readonly org: string
    readonly about: string
    readonly kept: 'kept' | 'known'
    /** Domain of its author, and what our filter says of it. */
    readonly mail: string | undefined
    readonly dmarc: string | undefined
  }): void
  /** It was sent where reports are read, and something in it cannot be. */
  reportUnreadable(fields: { readonly id: MessageId; readonly reason: string }): void
  discarded(fields: CopiesFields & { readonly stage: string; readonly reason: string }): void
  held(
    fields: CopiesFields & {
      readonly stage: string
      readonly reason: string
      readonly quarantine?: string
    },
  ): void
  released(fields: CopiesFields & { readonly stage: string; readonly by: string }): void
  /** `recipient`: of him alone. */
  removed(fields: CopiesFields & { readonly by: string; readonly recipient?: string | undefined }): void
  scheduled(fields: { readonly id: MessageId; readonly by: string }): void
  /** An operator ended the attempts: its sender gets a report. */
  returned(fields: { readonly id: MessageId; readonly by: string }): void
  /** An operator sends it elsewhere than its rules do; without `to` where they say, again. */
  rerouted(
    fields: CopiesFields & {
      readonly recipients: readonly Mailbox[]
      readonly to?: string | undefined
      readonly by: string
    },
  ): void
  /** An operator gave the copy for `recipient` another address. */
  readdressed(fields: CopiesFields & { readonly recipient: Mailbox; readonly to: Mailbox; readonly by: string }): void
  /** An operator lets it go again from a stage it passed, or from its beginning; `as`: as a new message. */
  replayed(
    fields: CopiesFields & {
      readonly to: readonly Mailbox[]
      readonly stage?: string | undefined
      readonly as?: MessageId | undefined
      readonly by: string
    },
  ): void
  /** The configuration `previous` was replaced. */
  reloaded(fields: {
    readonly revision: string
    readonly previous: string
    /** Rendered: what is odd, and what takes effect at the next start. */
    readonly warnings: readonly string[]
  }): void
  /** The files are not what they should be: `revision` stays in force. */
  reloadRefused(fields: { readonly revision: string; readonly fault: string }): void
  /** The journal lacked it, and the spool has it: that it was accepted (`to`), or what became of copies (`outcome`). */
  recovered(fields: {
    readonly id: MessageId
    readonly from?: ReversePath | undefined
    readonly to?: readonly Mailbox[]
    readonly sizeBytes?: number
    readonly listener?: string | undefined
    readonly address?: string | undefined
    readonly user?: string | undefined
    readonly made?: true | undefined
    readonly rcpt?: readonly number[]
    readonly outcome?: string
    readonly stage?: string
    readonly reason?: string | undefined
  }): void
  /** Accepted, without outcome, and not in the spool: it must never be. */
  missing(fields: CopiesFields): void
  /** A receiver of `webhook` did not take these in time, or before the journal was trimmed; `at` of the oldest of them. */
  webhookDropped(fields: {
    readonly webhook: string
    readonly count: number
    readonly oldestAt: number
    readonly reason: string
  }): void
  /** Jobs made anew from the spool. */
  requeued(fields: { readonly id: MessageId; readonly reason: string }): void
  /** Resolves when stories have all that was told so far. */
  flush(): Promise<void>
}

/** Of `Metrics`. */
export interface EventCounters {
  readonly events: Counted<'event'>
  readonly connections: Counted<'listener'>
  readonly tlsSessions: Counted<'version'>
  readonly rejections: Counted<'stage' | 'code'>
  readonly messageBytes: { observe(bytes: number): void }
  readonly verdicts: Counted<'verdict'>
  readonly outcomeSeconds: { observe(labels: { readonly outcome: string }, seconds: number): void }
  readonly replies: Counted<'stage' | 'class'>
  readonly refusals: Counted<'stage' | 'code' | 'class'>
}

interface Counted<Label extends string> {
  inc(labels: Readonly<Record<Label, string>>): void
}

/** Of each session, however well it goes: these are in the log alone. */
const quiet: ReadonlySet<EventName> = new Set(['connected', 'secured', 'authenticated', 'disconnected'])

type Level = 'debug' | 'info' | 'warn' | 'error'

export function createEvents(parts: {
  readonly log: Logger
  readonly metrics: EventCounters
  readonly journal: Journal
  /** Of what no message has. */
  readonly sessions?: Pick<SessionLog, 'append'>
  readonly clock: Clock
  readonly hits?: Pick<RuleHits, 'count'>
}): Events {
  const { log, metrics, journal, sessions, clock, hits } = parts

  function emit(event: EventName, level: Level, fields: object, journaled?: object): void {
    const { id, reply } = fields as { readonly id?: MessageId; readonly reply?: Reply }
    const shown = reply === undefined ? fields : { ...fields, reply: formatReply(reply) }
    log[level]({ event, ...shown }, event)
    metrics.events.inc({ event })
    if (id !== undefined) journal.append({ at: clock.now(), event, ...shown, ...journaled, id })
    else if (!quiet.has(event)) sessions?.append({ at: clock.now(), event, ...shown })
  }

  function attempted(event: EventName, level: Level, fields: AttemptFields): void {
    const { reply, stage } = fields
    const code = `${Math.trunc(reply.code / 100)}xx`
    metrics.replies.inc({ stage, class: code })
    if (isPositive(reply)) return emit(event, level, fields)
    const about = classifyReply(reply)
    metrics.refusals.inc({ stage, code, class: about })
    emit(event, level, { ...fields, class: about })
  }

  function ended(event: EventName, fields: AttemptFields): void {
    metrics.outcomeSeconds.observe({ outcome: event }, fields.ageMs / 1000)
    attempted(event, 'info', fields)
  }

  return {
    connected: (fields) => {
      metrics.connections.inc({ listener: fields.listener })
      emit('connected', 'debug', fields)
    },
    secured: (fields) => {
      metrics.tlsSessions.inc({ version: fields.version })
      emit('secured', 'info', fields)
    },
    tlsFailed: (fields) => emit('tls failed', 'debug', fields),
    disconnected: (fields) => emit('disconnected', 'debug', fields),
    authenticated: (fields) => emit('authenticated', 'info', fields),
    authFailed: (fields) => emit('auth failed', 'warn', fields),
    rejected: (fields) => {
      metrics.rejections.inc({ stage: fields.stage, code: `${fields.reply.code}` })
      emit('rejected', 'info', fields)
    },
    rateExceeded: (fields) => emit('rate exceeded', 'warn', fields),
    banned: (fields) => emit('banned', 'warn', fields),
    filterReport: (fields) => emit('filter report', 'info', fields),
    received: (fields) => {
      metrics.messageBytes.observe(fields.sizeBytes)
      emit('received', 'info', fields)
    },
    made: (fields) => emit('made', 'info', fields),
    routed: ({ ruleText, arrival, ...fields }) => {
      if (ruleText !== undefined) hits?.count(ruleText, fields.rcpt.length)
      emit('routed', 'debug', fields, arrival && { arrival })
    },
    filtered: (fields) => {
      metrics.verdicts.inc({ verdict: fields.verdict })
      emit('filtered', 'info', fields)
    },
    judged: (fields) => emit('judged', 'info', fields),
    undecided: (fields) => emit('undecided', 'warn', fields),
    signed: (fields) => emit('signed', 'info', fields),
    passed: (fields) => emit('passed', 'debug', fields),
    delivered: (fields) => ended('delivered', fields),
    relayed: (fields) => ended('relayed', fields),
    tlsPolicyFailed: (fields) => emit('tls policy failed', 'warn', fields),
    suspended: (fields) => emit('suspended', 'warn', fields),
    delayed: (fields) => attempted('delayed', 'info', fields),
    failed: (fields) => ended('failed', fields),
    expired: (fields) => ended('expired', fields),
    mayRepeat: (fields) => emit('may repeat', 'warn', fields),
    deferred: (fields) => emit('deferred', 'warn', fields),
    reported: (fields) => emit('reported', 'info', fields),
    reportDropped: (fields) => emit('report dropped', 'warn', fields),
    aggregateReportSent: (fields) => emit('aggregate report sent', 'info', fields),
    aggregateReportFailed: (fields) => emit('aggregate report failed', fields.again ? 'info' : 'warn', fields),
    doubleBounced: (fields) => emit('double bounce', 'warn', fields),
    reportReceived: (fields) => emit('report received', 'info', fields),
    reportUnreadable: (fields) => emit('report unreadable', 'warn', fields),
    discarded: (fields) => emit('discarded', 'info', fields),
    held: (fields) => emit('held', 'warn', fields),
    released: (fields) => emit('released', 'info', fields),
    removed: (fields) => emit('removed', 'info', fields),
    scheduled: (fields) => emit('scheduled', 'info', fields),
    returned: (fields) => emit('returned', 'info', fields),
    rerouted: (fields) => emit('rerouted', 'info', fields),
    replayed: (fields) => emit('replayed', 'info', fields),
    readdressed: (fields) => emit('readdressed', 'info', fields),
    reloaded: (fields) => emit('reloaded', 'info', fields),
    reloadRefused: (fields) => emit('reload refused', 'error', fields),
    recovered: (fields) => emit('recovered', 'warn', fields),
    missing: (fields) => emit('missing', 'error', fields),
    webhookDropped: (fields) => emit('webhook dropped', 'warn', fields),
    requeued: (fields) => emit('requeued', 'info', fields),
    flush: () => journal.flush(),
  }
}
