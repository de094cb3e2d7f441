import { copyStates, messageKinds } from '../../shared/store/copy-state.ts'
import { count, flag, instant, list, object, reversePath, text, texts } from './schema.ts'
import type { Schema } from './schema.ts'
import { reportSchemas } from './report-schemas.ts'

export type { Schema } from './schema.ts'

const queue = {
  name: text,
  paused: flag,
  waiting: count,
  active: count,
  delayed: count,
  held: count,
  'heldAtLeast?': { ...flag, description: 'So many are held that `held` counts only some of them.' },
  'oldestAgeMs?': { type: 'number', description: 'How long the next waiting job has been due.' },
  'limit?': {
    ...object({
      'rate?': object({ count, periodMs: count }),
      'concurrency?': count,
      by: text,
      at: instant,
    }),
    description: 'What an operator lets the queue do at most, over all its workers.',
  },
} as const satisfies Readonly<Record<string, Schema>>

const job = object({
  queue: text,
  jobId: text,
  id: text,
  state: { type: 'string', enum: ['waiting', 'active', 'delayed', 'held', 'done'] },
  receivedAt: instant,
  sizeBytes: count,
  from: reversePath,
  to: texts,
  rcpt: { type: 'array', items: count, description: 'Indexes into the recipients of the message.' },
  tags: texts,
  path: { ...texts, description: 'Queues it passed before.' },
  attempts: count,
  'startedAt?': { ...instant, description: 'Of its last start.' },
  'nextAt?': instant,
  'lastReply?': text,
  'action?': text,
  'destination?': text,
  'lane?': { ...text, description: 'Relay: the lane it waits by, shared by domains with the same MX.' },
  'reason?': { ...text, description: 'Why it is held.' },
  'heldAt?': instant,
  'quarantine?': { type: 'string', enum: ['virus', 'spam', 'banned'], description: 'A filter keeps it back.' },
})

const destinationHistory = object({
  name: text,
  hours: list(object({ at: instant, sent: count, later: count, refused: count })),
  refusals: {
    ...list(object({ replyClass: text, times: count, reply: text, 'host?': text, at: instant })),
    description: 'What was said against mail, the latest of each class.',
  },
  'tls?': object({ 'session?': text, 'trust?': text, 'unused?': flag, at: instant }),
  'policy?': object({
    type: { type: 'string', enum: ['dane', 'mta-sts', 'none'] },
    'failure?': text,
    at: instant,
  }),
  lastAt: instant,
})

const recipient = object({
  mailbox: text,
  'original?': text,
  state: {
    type: 'string',
    enum: [
      'delivered',
      'relayed',
      'failed',
      'discarded',
      'removed',
      'held',
      'delayed',
      'active',
      'waiting',
      'accepted',
    ],
  },
  'detail?': { ...text, description: 'The last reply, or the reason.' },
  'at?': instant,
  'nextAt?': { ...instant, description: 'When it is tried again.' },
  'attempts?': count,
})

const statementHits = object({
  today: { ...count, description: 'Recipients, or answers, that it decided; days are those of UTC.' },
  week: { ...count, description: 'Today and the six days before.' },
  'lastAt?': { ...instant, description: 'Absent: never since then.' },
  'since?': { ...text, description: 'The first day it was counted, of the last 60; absent: not yet.' },
})

export const schemas = {
  ruleHits: object({
    rules: list(
      object({
        kind: { type: 'string', enum: ['rule', 'restrict'] },
        at: { ...text, description: 'file:line' },
        text,
        'hits?': { ...statementHits, description: 'Absent: it decides nothing by itself.' },
      }),
    ),
  }),
  queues: object({ at: instant, queues: list(object(queue)) }),
  queue: object({ at: instant, ...queue, start: count, jobs: list(job) }),
  held: object({ at: instant, jobs: list(job) }),
  destinations: object({
    at: instant,
    cut: { ...flag, description: 'There are more messages than were looked at.' },
    destinations: list(
      object({
        name: text,
        'lane?': { ...text, description: 'Shared with other domains that have the same MX.' },
        waiting: count,
        active: count,
        delayed: count,
        'oldestAt?': { ...instant, description: 'Absent: no mail waits for it.' },
        'day?': object({ sent: count, later: count, refused: count }),
        'history?': destinationHistory,
        'nextAt?': instant,
        'lastReply?': text,
        'replyClass?': { ...text, description: 'What that is about: rate-limit, spam, unknown-user and so on.' },
        attempts: count,
        'aloneForMs?': { ...count, description: 'No relay process tries it for so long.' },
      }),
    ),
  }),
  messages: object({
    at: instant,
    'next?': { ...text, description: '`before` of the page with older ones; absent: there are none.' },
    messages: list(
      object({
        id: text,
        at: { ...instant, description: 'When it was accepted or refused.' },
        kind: {
          type: 'string',
          enum: messageKinds,
          description: '`made`: by this server, e.g. a report; `refused`: never accepted.',
        },
        'from?': reversePath,
        'sizeBytes?': count,
        'client?': text,
        'user?': text,
        'listener?': text,
        'messageId?': { ...text, description: 'Its Message-ID field.' },
        'host?': { ...text, description: 'The host that accepted it, where several write one store.' },
        'subject?': { ...text, description: 'With `events subjects`.' },
        tags: texts,
        copyCount: { ...count, description: 'Recipients; those asked for come first, and no more than five are told.' },
        copies: list(
          object({
            'mailbox?': text,
            state: { type: 'string', enum: copyStates },
            'queue?': text,
            rules: { ...texts, description: 'file:line of the rules it went by.' },
            'class?': text,
            'remote?': { ...text, description: 'What was said last, and by whom.' },
            'nextAt?': instant,
            at: instant,
          }),
        ),
      }),
    ),
  }),
  message: object({
    id: text,
    acceptedAt: instant,
    knownFrom: { type: 'string', enum: ['spool', 'journal'] },
    from: reversePath,
    recipients: list(recipient),
    'sizeBytes?': count,
    origin: list(object({ name: text, value: text })),
    tags: texts,
    edits: { ...texts, description: 'What was done to its header section.' },
    stages: list(
      object({
        stage: { ...text, description: 'Who did it; `acceptance`: before the first queue.' },
        changes: list(object({ kind: { type: 'string', enum: ['added', 'removed', 'changed', 'other'] }, text })),
      }),
    ),
    talk: { ...texts, description: 'What its client and this host said, with `events smtp-talk`.' },
    nextTalks: {
      ...list(object({ at: instant, 'host?': text, lines: texts })),
      description: 'The same of each transaction with a next hop.',
    },
    verdicts: list(
      object({
        at: instant,
        verdict: text,
        'score?': { type: 'number' },
        'reason?': text,
        tests: list(object({ name: text, score: { type: 'number' }, text })),
        authentication: list(object({ method: text, result: text, detail: text })),
      }),
    ),
    jobs: list(job),
    queues: { ...texts, description: 'Those it came to, as its story tells.' },
    'queuesAway?': { ...text, description: 'Redis did not answer: where the message waits is not known.' },
    story: list(
      object({
        at: instant,
        event: text,
        text,
        tone: { type: 'string', enum: ['good', 'waiting', 'bad', 'plain'] },
        'rule?': { ...text, description: 'file:line of the line that decided.' },
        'revision?': { ...text, description: 'Of the configuration it was decided by.' },
      }),
    ),
  }),
  health: object({
    healthy: flag,
    checks: list(
      object({ name: text, healthy: flag, tookMs: { type: 'number' }, detail: text, 'lastJobAgeMs?': count }),
    ),
  }),
  audit: object({
    entries: list(
      object({
        at: instant,
        by: text,
        from: text,
        action: text,
        'about?': text,
        outcome: { type: 'string', enum: ['done', 'refused'] },
        'detail?': text,
      }),
    ),
  }),
  ...reportSchemas,
  done: object({ done: { ...text, description: 'What came of it, one sentence.' } }),
  error: object({ error: text }),
} as const satisfies Readonly<Record<string, Schema>>
