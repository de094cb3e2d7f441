import type { MessageId } from '../mail/message-id.ts'
import type { AbuseReport, DmarcReport, DmarcRow, TlsReport } from './model.ts'

const beginAt = Date.UTC(2026, 10, 20)
const endAt = beginAt + 86_399_000
const receivedAt = Date.UTC(2026, 10, 21, 6)

type Changes<Report> = Partial<Omit<Report, 'message'>> & { readonly message?: string }

/** Reports as they are kept, made up. */
export function sampleDmarc({ message = 'm1', ...changes }: Changes<DmarcReport> = {}): DmarcReport {
  return {
    kind: 'dmarc',
    receivedAt,
    message: message as MessageId,
    mail: { domain: 'receiver.test', dmarc: 'pass' },
    org: 'Receiver Inc.',
    reportId: '4711',
    beginAt,
    endAt,
    domain: 'example.org',
    policy: { p: 'none' },
    rows: [sampleRow()],
    leftOut: 0,
    ...changes,
  }
}

export function sampleRow(changes: Partial<DmarcRow> = {}): DmarcRow {
  return {
    ip: '192.0.2.1',
    count: 10,
    disposition: 'none',
    dkim: true,
    spf: true,
    headerFrom: 'example.org',
    reasons: [],
    signatures: [],
    spfChecks: [],
    ...changes,
  }
}

export function sampleTls({ message = 'm2', ...changes }: Changes<TlsReport> = {}): TlsReport {
  return {
    kind: 'tls',
    receivedAt,
    message: message as MessageId,
    mail: { domain: 'receiver.test', dmarc: 'pass' },
    org: 'Receiver Inc.',
    reportId: 't1',
    beginAt,
    endAt,
    policies: [{ type: 'sts', domain: 'example.org', successful: 100, failed: 0, failures: [] }],
    ...changes,
  }
}

export function sampleAbuse({ message = 'm3', ...changes }: Changes<AbuseReport> = {}): AbuseReport {
  return {
    kind: 'abuse',
    receivedAt,
    message: message as MessageId,
    mail: { domain: 'receiver.test', dmarc: 'pass' },
    type: 'abuse',
    org: 'mail.receiver.test',
    domain: 'example.org',
    sourceIp: '192.0.2.9',
    incidents: 1,
    ...changes,
  }
}
