import assert from 'node:assert/strict'

import type { ReadReport, ReportFields } from './read-report.ts'

/** What a program that reads bounces for a living (Sisimai and its like) makes of a recipient's group. */
export interface Bounce {
  readonly recipient: string
  readonly action: string
  readonly status: string
  /** SMTP code in the Diagnostic-Code. */
  readonly replyCode: number
  readonly remote: string | undefined
  /** Its word for it. */
  readonly reason: string
}

/** Fields without which such programs give up, and the form they look for. */
const required: Readonly<Record<string, RegExp>> = {
  'final-recipient': /^(?:rfc822|utf-8);\s*([^\s@]+@[^\s@]+)$/i,
  action: /^(failed|delayed|delivered|relayed|expanded)$/,
  status: /^([245]\.\d{1,3}\.\d{1,3})$/,
  'diagnostic-code': /^smtp;\s*([245]\d\d)[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?\S.*$/,
  'last-attempt-date': /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}$/,
}

const optional: Readonly<Record<string, RegExp>> = {
  'original-recipient': /^(?:rfc822|utf-8);\s*\S+$/i,
  'remote-mta': /^dns;\s*(\[?[\w.:-]+\]?)$/,
  'will-retry-until': /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}$/,
}

/** By status, then by what the text says: the first that fits. */
const reasons: readonly (readonly [status: RegExp, text: RegExp, reason: string])[] = [
  [/^\d\.1\.1$/, /user|mailbox|recipient|account/i, 'userunknown'],
  [/^\d\.1\.2$|^\d\.1\.10$|^\d\.4\.4$/, /domain|host|does not exist/i, 'hostunknown'],
  [/^\d\.2\.2$/, /full|quota|room/i, 'mailboxfull'],
  [/^\d\.4\.6$/, /loop/i, 'networkerror'],
  [/^\d\.4\.7$/, /expired|returned|too long/i, 'expired'],
  [/^\d\.6\.7$/, /internationali[sz]ed|utf-?8/i, 'contenterror'],
  [/^2\./, /./, 'delivered'],
  [/^4\./, /./, 'undefined'],
]

/** Reads the report by those rules. @throws AssertionError with the rule that it does not keep */
export function readBounces(report: ReadReport): readonly Bounce[] {
  assert.match(report.header['from'] ?? '', /^Mail Delivery System <MAILER-DAEMON@/, 'From')
  assert.match(report.header['subject'] ?? '', /could not be delivered|delayed|was delivered|passed on/, 'Subject')
  assert.match(report.header['auto-submitted'] ?? '', /^auto-replied/, 'Auto-Submitted')
  assert.equal(report.type, 'multipart/report')
  assert.deepEqual(report.defects, [])
  assert.match(report.perMessage['reporting-mta'] ?? '', /^dns;\s*[\w.-]+$/, 'Reporting-MTA')
  assert.match(report.perMessage['arrival-date'] ?? '', required['last-attempt-date'] ?? /^$/, 'Arrival-Date')
  assert.match(report.original.header['message-id'] ?? '', /^<[^<>\s]+@[^<>\s]+>$/, 'Message-ID of the original')
  assert.ok(report.perRecipient.length > 0, 'a group for each recipient')
  return report.perRecipient.map((fields) => bounceOf(fields))
}

function bounceOf(fields: ReportFields): Bounce {
  for (const [name, form] of Object.entries(required)) assert.match(fields[name] ?? '', form, name)
  for (const [name, form] of Object.entries(optional)) {
    const value = fields[name]
    if (value !== undefined) assert.match(value, form, name)
  }
  const first = (name: string): string => (required[name] ?? optional[name])?.exec(fields[name] ?? '')?.[1] ?? ''
  const [action, status, replyCode] = [first('action'), first('status'), first('diagnostic-code')]
  const kind = { failed: '5', delayed: '4' }[action] ?? '2'
  assert.equal(status[0], kind, `${action} with the status ${status}`)
  assert.equal(replyCode[0], kind, `${action} with the reply ${replyCode}`)
  const text = fields['diagnostic-code'] ?? ''
  const reason = reasons.find(([statuses, words]) => statuses.test(status) && words.test(text))?.[2]
  assert.ok(reason !== undefined, `no reason in ${status} ${text}`)
  const remote = fields['remote-mta'] === undefined ? undefined : first('remote-mta')
  return { recipient: first('final-recipient'), action, status, replyCode: Number(replyCode), remote, reason }
}
