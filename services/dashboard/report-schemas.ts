import { count, flag, instant, list, object, text, texts } from './schema.ts'
import type { Schema } from './schema.ts'

const period = {
  sinceAt: instant,
  untilAt: instant,
  cut: { ...flag, description: 'There are more reports than were read: the newest are counted.' },
} as const satisfies Readonly<Record<string, Schema>>

const origin = {
  message: { ...text, description: 'Id of its mail.' },
  'mailDomain?': text,
  'dmarc?': { ...text, description: 'What the filter says of that mail: pass, fail, none and so on.' },
} as const satisfies Readonly<Record<string, Schema>>

const counted = {
  domain: text,
  reports: count,
  doubtful: { ...count, description: 'Reports whose own mail failed DMARC: they are in no other number.' },
} as const satisfies Readonly<Record<string, Schema>>

const days = list(object({ day: text, passed: count, failed: count }))

const totals = {
  messages: count,
  passed: { ...count, description: 'DKIM or SPF passed, aligned with the domain of the author.' },
  dkimPassed: count,
  spfPassed: count,
  quarantined: count,
  rejected: count,
} as const satisfies Readonly<Record<string, Schema>>

const recent = list(
  object({
    ...origin,
    receivedAt: instant,
    org: text,
    reportId: text,
    domains: texts,
    beginAt: instant,
    endAt: instant,
    count: { ...count, description: 'Messages or sessions.' },
    doubtful: flag,
  }),
)

const policy = object({
  'p?': text,
  'sp?': text,
  'np?': text,
  'adkim?': text,
  'aspf?': text,
  'pct?': text,
  'testing?': text,
})

const source = object({
  ip: text,
  ...totals,
  headerFrom: texts,
  signers: texts,
  spfDomains: texts,
  reporters: texts,
  advice: text,
})

const failure = object({
  type: text,
  'mx?': text,
  sessions: count,
  reporters: texts,
  'detail?': text,
  advice: text,
})

/** Of what others report to us. All texts in it are theirs. */
export const reportSchemas = {
  dmarcReports: object({
    ...period,
    recent,
    domains: list(
      object({
        ...counted,
        ...totals,
        policy,
        reporters: list(object({ org: text, messages: count })),
        days,
        sources: list(source),
        moreSources: { ...count, description: 'Sources that are not listed.' },
      }),
    ),
  }),
  tlsReports: object({
    ...period,
    recent,
    domains: list(
      object({
        ...counted,
        successful: count,
        failed: count,
        policies: texts,
        reporters: list(object({ org: text, sessions: count })),
        days,
        failures: list(failure),
      }),
    ),
  }),
  traffic: object({
    sinceAt: instant,
    failures: list(
      object({
        'class?': { ...text, description: 'What the reply was about: unknown-user, mailbox-full and so on.' },
        domain: text,
        copies: { ...count, description: 'Recipients.' },
      }),
    ),
    hosts: list(
      object({
        'host?': { ...text, description: 'Who said no; absent: it was refused here, or nobody could be asked.' },
        'class?': text,
        copies: { ...count, description: 'Recipients.' },
      }),
    ),
    senders: list(object({ sender: text, messages: count, sizeBytes: count })),
    users: {
      ...list(object({ user: text, messages: count, copies: count, failed: count, held: count })),
      description: 'Who signed in and sent, with recipients, and how many of them failed or are held.',
    },
  }),
  hours: object({
    sinceAt: instant,
    hours: list(
      object({
        at: instant,
        copies: { type: 'object', additionalProperties: true, description: 'Recipients by their state.' },
      }),
    ),
  }),
  recipientDomains: object({
    sinceAt: instant,
    domains: list(object({ domain: text, copies: { ...count, description: 'Recipients.' }, failed: count })),
  }),
  abuseReports: object({
    ...period,
    complaints: list(
      object({
        ...origin,
        receivedAt: instant,
        type: { ...text, description: 'abuse, auth-failure, fraud, not-spam and so on.' },
        org: text,
        'domain?': text,
        'sourceIp?': text,
        'arrivedAt?': instant,
        incidents: count,
        'authFailure?': text,
        'deliveryResult?': text,
      }),
    ),
  }),
} as const satisfies Readonly<Record<string, Schema>>
