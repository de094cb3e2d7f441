import type { FactLog } from '../../shared/aggregate-reports/fact-log.ts'
import type { DmarcFact } from '../../shared/aggregate-reports/facts.ts'
import type { Configuration } from '../../shared/config/model.ts'
import type { DmarcPolicy } from '../../shared/dmarc/record.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import type { DmarcFinding } from './authentication/dmarc-finding.ts'
import type { EngineRun } from './run-engines.ts'
import type { Verdict } from './verdict.ts'

/** Writes down what the domain of the author is told of this message, where `report dmarc` is stated. */
export function noteDmarc(
  log: FactLog<DmarcFact> | undefined,
  configuration: Configuration,
  envelope: Envelope,
  runs: readonly EngineRun[],
  action: Verdict['action'],
): void {
  const { aggregateReports } = configuration.pipeline
  if (log === undefined || aggregateReports.dmarc === undefined) return
  const finding = runs.find(({ result }) => result.dmarc !== undefined)?.result.dmarc
  // What comes back to our reports is no mail to report: two hosts would tell each other of nothing else, for ever.
  const ours = [aggregateReports.dmarc, aggregateReports.tls].map((sender) => sender?.from.toLowerCase())
  const isAnswer = envelope.recipients.every(({ mailbox }) => ours.includes(mailbox.toLowerCase()))
  if (finding !== undefined && !isAnswer) log.add(dmarcFact(finding, action))
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
