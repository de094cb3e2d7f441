import type { JournalEntry } from '../journal.ts'
import { formatUpstream } from '../mail/envelope.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import { parseMailbox } from '../mail/address.ts'
import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { formatReply } from '../mail/reply.ts'
import { isDecision, withDecisions } from '../spool/decisions.ts'
import { isFinal } from '../spool/spool.ts'
import type { OutcomeRecord, SpooledMessage } from '../spool/spool.ts'
import { traceIdOf } from '../tracing/span.ts'
import { changesOf, editStages } from './edit-stages.ts'
import { tellStory } from './story.ts'
import { verdictsOf } from './verdicts.ts'
import type {
  JobView,
  MessageView,
  NextTalk,
  OpenJob,
  OriginField,
  RecipientState,
  RecipientView,
  Seen,
} from './views.ts'

/** Where the knowledge about a message comes from; each may know nothing. */
export interface MessageSources {
  /** `undefined`: it is not, or no longer, in the spool. */
  find(id: MessageId): Promise<SpooledMessage | undefined>
  outcomesOf(id: MessageId): Promise<readonly OutcomeRecord[]>
  story(id: MessageId): Promise<readonly JournalEntry[]>
  /** Never rejects: a Redis that is away is `away`. */
  jobsOf(id: MessageId): Promise<Seen<readonly JobView[]>>
}

/** Everything known about a message; `undefined` when nothing is. */
export async function viewMessage(sources: MessageSources, id: MessageId): Promise<MessageView | undefined> {
  const [stored, outcomes, story, jobs] = await Promise.all([
    sources.find(id),
    sources.outcomesOf(id),
    sources.story(id),
    sources.jobsOf(id),
  ])
  return composeMessage(id, { stored, outcomes, story, jobs })
}

export interface MessageParts {
  readonly stored: Pick<SpooledMessage, 'envelope' | 'edits' | 'locator'> | undefined
  readonly outcomes: readonly OutcomeRecord[]
  readonly story: readonly JournalEntry[]
  readonly jobs: Seen<readonly JobView[]>
}

export function composeMessage(id: MessageId, parts: MessageParts): MessageView | undefined {
  const { stored, outcomes, story, jobs } = parts
  if (stored === undefined && story.length === 0 && outcomes.length === 0) return undefined
  const known = jobs.kind === 'seen' ? jobs.value : []
  const open = known.filter(isOpen)
  const own = story.filter((entry) => entry.id === id)
  const told = {
    id,
    acceptedAt: acceptedAtOf(id),
    jobs,
    queues: queuesIn(story, id),
    story: tellStory(story),
    verdicts: verdictsOf(own),
    talk: talkOf(own.find(({ event }) => event === 'received')),
    nextTalks: own.flatMap(nextTalkOf),
    stages: editStages(stored?.edits, known, own),
  }
  const received = story.find((entry) => entry.event === 'received' && entry.id === id)
  if (stored === undefined) {
    const sizeBytes = received?.['sizeBytes']
    return {
      ...told,
      knownFrom: 'journal',
      from: typeof received?.['from'] === 'string' ? (parseMailbox(received['from']) ?? null) : null,
      recipients: recipientsFromJournal(received, story, open),
      ...(typeof sizeBytes === 'number' ? { sizeBytes } : {}),
      origin: [...namesOf(received), ...originFromJournal(received)],
      tags: tagsFromJournal(story),
      edits: describeEdits(latestEdits(known) ?? []),
    }
  }
  const { envelope, edits, locator } = stored
  return {
    ...told,
    acceptedAt: envelope.receivedAt,
    knownFrom: 'spool',
    from: envelope.reversePath,
    recipients: recipientsFromSpool(envelope, outcomes, open),
    sizeBytes: locator.sizeBytes,
    origin: [...namesOf(received), ...originFields(envelope)],
    tags: union([envelope.tags, ...known.map((job) => job.tags), tagsFromJournal(story)]),
    edits: describeEdits(latestEdits(known) ?? edits),
  }
}

export function isOpen(job: JobView): job is OpenJob {
  return job.state !== 'done'
}

const verbs = { added: 'add ', removed: 'remove ', changed: 'set ', other: '' } as const

/** Header edits, one line each: what is done to which field, with its value. */
export function describeEdits(edits: readonly HeaderEdit[]): readonly string[] {
  return edits.flatMap(changesOf).map(({ kind, text }) => `${verbs[kind]}${text}`)
}

/** The outcome log is the truth, the queues say where the rest is. */
function recipientsFromSpool(
  envelope: Envelope,
  outcomes: readonly OutcomeRecord[],
  jobs: readonly OpenJob[],
): readonly RecipientView[] {
  return withDecisions(envelope, outcomes).recipients.map((recipient, index) => {
    const last = outcomes.findLast((outcome) => outcome.recipient === index && !isDecision(outcome))
    const job = jobs.find((one) => one.rcpt.includes(index))
    return {
      mailbox: recipient.mailbox,
      ...(recipient.original === undefined ? {} : { original: recipient.original }),
      ...stateOf(last, job),
    }
  })
}

function talkOf(entry: JournalEntry | undefined): readonly string[] {
  const talk = entry?.['talk']
  return Array.isArray(talk) ? talk.filter((line) => typeof line === 'string') : []
}

/** Of what led to an attempt with a host. */
function nextTalkOf(entry: JournalEntry): readonly NextTalk[] {
  const lines = entry.event === 'received' ? [] : talkOf(entry)
  const host = entry['remoteMta']
  return lines.length === 0 ? [] : [{ at: entry.at, ...(typeof host === 'string' ? { host } : {}), lines }]
}

type Stated = Pick<RecipientView, 'state' | 'detail' | 'at' | 'nextAt' | 'attempts'>

function stateOf(last: OutcomeRecord | undefined, job: OpenJob | undefined): Stated {
  if (last !== undefined && isFinal(last)) {
    const detail = last.reply === undefined ? last.reason : formatReply(last.reply)
    return { state: last.kind as RecipientState, at: last.at, ...(detail === undefined ? {} : { detail }) }
  }
  if (job !== undefined) return stateInQueue(job)
  if (last?.kind === 'held')
    return { state: 'held', at: last.at, ...(last.reason === undefined ? {} : { detail: last.reason }) }
  return { state: 'accepted' }
}

function stateInQueue(job: OpenJob): Stated {
  const detail = job.reason ?? job.lastReply
  const next = job.nextAt === undefined ? {} : { nextAt: job.nextAt, attempts: job.attempts }
  const since = job.heldAt === undefined ? {} : { at: job.heldAt }
  const said = detail === undefined ? `in queue ${job.queue}` : detail
  return { state: job.state, ...next, ...since, detail: said }
}

const finalEvents: ReadonlyMap<string, RecipientState> = new Map([
  ['delivered', 'delivered'],
  ['relayed', 'relayed'],
  ['failed', 'failed'],
  ['expired', 'failed'],
  ['discarded', 'discarded'],
  ['removed', 'removed'],
])

function recipientsFromJournal(
  received: JournalEntry | undefined,
  story: readonly JournalEntry[],
  jobs: readonly OpenJob[],
): readonly RecipientView[] {
  const given = received?.['to']
  const named = story.map((entry) => entry['recipient']).filter((one) => typeof one === 'string')
  const mailboxes = Array.isArray(given) ? given.filter((one) => typeof one === 'string') : [...new Set(named)]
  return mailboxes.map((mailbox: string) => {
    const last = story.findLast(
      (entry) => finalEvents.has(entry.event) && (entry['recipient'] === mailbox || entry['recipient'] === undefined),
    )
    const job = jobs.find((one) => one.to.some((to) => to === mailbox))
    if (last === undefined) return { mailbox, ...stateOf(undefined, job) }
    const detail = last['reply'] ?? last['reason']
    return {
      mailbox,
      state: finalEvents.get(last.event) ?? 'accepted',
      at: last.at,
      ...(typeof detail === 'string' ? { detail } : {}),
    }
  })
}

function originFields({ origin, dsn, smtputf8, requireTls, releaseAt, trace }: Envelope): readonly OriginField[] {
  const { tls, upstream } = origin
  return present([
    ['kind', origin.kind === 'local' ? 'made here' : 'SMTP'],
    ['listener', origin.listener],
    ['client', origin.port === undefined ? origin.address : `${origin.address ?? ''} port ${origin.port}`],
    ['helo', origin.helo],
    ['verified name', origin.rdns],
    ['user', origin.user],
    ['TLS', tls === undefined ? undefined : `${tls.version} ${tls.cipher}`],
    ['first came from', upstream === undefined ? undefined : formatUpstream(upstream)],
    ['RET', dsn?.ret],
    ['ENVID', dsn?.envid],
    ['SMTPUTF8', smtputf8 === true ? 'yes' : undefined],
    ['REQUIRETLS', requireTls === true ? 'yes' : undefined],
    ['kept back until', releaseAt === undefined ? undefined : new Date(releaseAt).toISOString()],
    ['trace', traceIdOf(trace)],
  ])
}

/** By which people know it, as far as the journal has it (`events subjects`). */
function namesOf(received: JournalEntry | undefined): readonly OriginField[] {
  const [subject, messageId] = [received?.['subject'], received?.['messageId']]
  return present([
    ['subject', typeof subject === 'string' ? subject : undefined],
    ['Message-ID', typeof messageId === 'string' ? messageId : undefined],
  ])
}

function originFromJournal(received: JournalEntry | undefined): readonly OriginField[] {
  const text = (name: string): string | undefined => {
    const value = received?.[name]
    return typeof value === 'string' ? value : undefined
  }
  return present([
    ['listener', text('listener')],
    ['client', text('address')],
    ['helo', text('helo')],
    ['user', text('user')],
    ['TLS', text('tls')],
    ['first came from', text('upstream')],
    ['trace', text('trace')],
  ])
}

function present(fields: readonly (readonly [string, string | undefined])[]): readonly OriginField[] {
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]))
}

function queuesIn(story: readonly JournalEntry[], id: MessageId): readonly string[] {
  const named = story.filter((entry) => entry.event === 'routed' && entry.id === id).map((entry) => entry['queue'])
  return [...new Set(named.filter((queue) => typeof queue === 'string'))]
}

function tagsFromJournal(story: readonly JournalEntry[]): readonly string[] {
  return union([
    story.flatMap((entry) => (entry.event === 'passed' && typeof entry['tag'] === 'string' ? [entry['tag']] : [])),
  ])
}

/** Tags compare without case; the first spelling stands. */
function union(lists: readonly (readonly string[])[]): readonly string[] {
  const seen = new Map<string, string>()
  for (const word of lists.flat()) if (!seen.has(word.toLowerCase())) seen.set(word.toLowerCase(), word)
  return [...seen.values()]
}

/** A job carries all edits so far; the one that came farthest has the most. */
function latestEdits(jobs: readonly JobView[]): readonly HeaderEdit[] | undefined {
  return jobs.map((job) => job.edits).toSorted((one, other) => other.length - one.length)[0]
}
