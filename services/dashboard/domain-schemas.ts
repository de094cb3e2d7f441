import { count, flag, instant, list, object, text, texts } from './schema.ts'
import type { Schema } from './schema.ts'

const row = {
  name: text,
  isPattern: { ...flag, description: 'It has a `*`, and cannot be checked.' },
  uses: list({ type: 'string', enum: ['local', 'relayed', 'signed'] }),
  saidAt: { ...texts, description: 'file:line of what names it.' },
  isRunning: { ...flag, description: 'It is being checked now.' },
  'checked?': object({ at: instant, wrong: count, unknown: count }),
} as const satisfies Readonly<Record<string, Schema>>

const check: Schema = { ...text, description: 'mx, spf, dkim and so on.' }

const finding = object({
  check,
  verdict: {
    type: 'string',
    enum: ['good', 'wrong', 'absent', 'unknown'],
    description: '`absent`: it is not there and need not be. `unknown`: it could not be found out.',
  },
  text,
  'publish?': { ...text, description: 'A line for the zone file that mends it.' },
})

const dnsRecord = object({ name: text, value: text, zoneLine: text })

export const domainSchemas = {
  domains: object({
    at: instant,
    count: { ...count, description: 'So many there are; no more than the first 1000 are told.' },
    signsAll: { ...flag, description: 'Domains without a key of their own are signed by one for all.' },
    domains: list(object(row)),
    unlisted: {
      ...list(object({ what: text, saidAt: text, reason: text })),
      description: 'What names domains and cannot be listed.',
    },
  }),
  domain: object({
    at: instant,
    ...row,
    'last?': object({
      at: instant,
      tookMs: count,
      findings: list(finding),
      publications: list(
        object({
          name: text,
          kind: { type: 'string', enum: ['published', 'missing', 'another', 'unusable', 'unknown'] },
        }),
      ),
      addresses: { ...texts, description: 'Of this host, as its name leads to them.' },
    }),
    records: list(object({ check, title: text, line: { ...text, description: 'For a zone file.' }, why: text })),
    policy: { ...text, description: 'Of MTA-STS, for mta-sts.txt.' },
    keys: list(
      object({
        domain: text,
        selector: text,
        keyFile: text,
        type: { type: 'string', enum: ['rsa', 'ed25519'] },
        bits: count,
        madeAt: instant,
        use: {
          type: 'string',
          enum: ['signs', 'new', 'old'],
          description: '`new`: waits for its record; `old`: was replaced.',
        },
        record: dnsRecord,
        'neededUntil?': { ...instant, description: 'Of a key that was replaced.' },
        isNamed: { ...flag, description: 'Its line of pipeline.conf names it.' },
      }),
    ),
    keyTroubles: texts,
    rotations: list(
      object({
        selector: { ...text, description: 'As pipeline.conf names it.' },
        signs: text,
        'waits?': { ...text, description: 'It was made, and waits for its record.' },
        next: { ...text, description: 'What the next rotation would make.' },
        isPossible: { ...flag, description: 'The dashboard may write where the key lies.' },
      }),
    ),
    unnamed: {
      ...list(object({ selector: text, record: dnsRecord, line: text })),
      description: 'Keys that were made and that pipeline.conf does not name.',
    },
    canMake: flag,
  }),
  changedKey: object({
    done: { ...text, description: 'What came of it, one sentence.' },
    'selector?': { ...text, description: 'Of the key that was made.' },
    'record?': { ...dnsRecord, description: 'To publish; the key signs when it is there.' },
    'line?': { ...text, description: 'For pipeline.conf, which does not name the key yet.' },
  }),
} as const satisfies Readonly<Record<string, Schema>>
