import type { FactLog } from '../../shared/aggregate-reports/fact-log.ts'
import type { DmarcFact } from '../../shared/aggregate-reports/facts.ts'
import type { AggregateReportSettings, Configuration } from '../../shared/config/model.ts'
import type { DmarcPolicy } from '../../shared/dmarc/record.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { DmarcFinding } from './authentication/dmarc-finding.ts'
import type { ScanMessage } from './engine.ts'
import type { EngineRun } from './run-engines.ts'
import type { Verdict } from './verdict.ts'

/** Writes down what the domain of the author is told of this message, where `report dmarc` is stated. */
export function noteDmarc(
  log: FactLog<DmarcFact> | undefined,
  { pipeline: { aggregateReports } }: Configuration,
  message: Pick<ScanMessage, 'envelope' | 'header'>,
  runs: readonly EngineRun[],
  action: Verdict['action'],
): void {
  if (log === undefined || aggregateReports.dmarc === undefined) return
  const finding = runs.find(({ result }) => result.dmarc !== undefined)?.result.dmarc
  if (finding === undefined || isAnswer(message.envelope, aggregateReports) || isReport(finding, message.header)) return
  log.add(dmarcFact(finding, action))
}

/** What comes back to our reports. */
function isAnswer({ recipients }: Envelope, { dmarc, tls }: AggregateReportSettings): boolean {
  const ours = [dmarc, tls].map((sender) => sender?.from.toLowerCase())
  return recipients.every(({ mailbox }) => ours.includes(mailbox.toLowerCase()))
}

/**
 * A report of another host (RFC 7489 §7.2.1.1, RFC 8460 §5.3), proven to be its own: two hosts would tell each other of their reports
 * for ever. Without the proof anybody could keep his forgeries out of reports by such a subject.
 */
function isReport({ dkim, spf }: DmarcFinding, header: Buffer): boolean {
  if (dkim !== 'pass' && spf !== 'pass') return false
  const subject = headerFields(header).find(({ name }) => name === 'subject')
  return subject !== undefined && /^Report Domain:\s*\S+\s+Submitter:/i.test(fieldValue(subject))
}

const severity: readonly DmarcPolicy[] = ['none', 'quarantine', 'reject']

/** What we do for other reasons is none of the domain's business; where we do less than it asks, it is told why. */
export function dmarcFact({ asked, reasons, ...seen }: DmarcFinding, action: Verdict['action']): DmarcFact {
  const done = dispositionOf(action)
  const isLess = severity.indexOf(done) < severity.indexOf(asked)
  const all = isLess ? [...reasons, { type: 'local_policy' as const, comment: lessThanAsked[action] }] : reasons
  return { ...seen, disposition: isLess ? done : asked, ...(all.length === 0 ? {} : { reasons: all }) }
}

function dispositionOf(action: Verdict['action']): DmarcPolicy {
  switch (action) {
    case 'clean':
      return 'none'
    case 'junk':
    case 'quarantine':
      return 'quarantine'
    case 'reject':
    case 'discard':
      return 'reject'
  }
}

const lessThanAsked: Readonly<Record<Verdict['action'], string>> = {
  clean: 'the sender is trusted here',
  junk: 'marked as junk',
  quarantine: 'kept in quarantine',
  reject: '',
  discard: '',
}
