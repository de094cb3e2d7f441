import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { AggregateReportSettings } from '../config/model.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import { zoneResolver } from '../restrictions/testing.ts'
import type { Zone } from '../restrictions/testing.ts'
import { openFactLog } from './fact-log.ts'
import type { Day, DmarcFact, Fact, ReportKind, TlsFact } from './facts.ts'
import type { ReportParts } from './send-day.ts'

/** The day of the tests, and noon of it. */
export const testDay = '2026-11-20' as Day
export const noonAt = Date.parse('2026-11-20T12:00:00Z')

export function dmarcFact(more: Partial<DmarcFact> = {}): DmarcFact {
  return {
    domain: 'north.test',
    published: { p: 'reject', sp: 'reject', adkim: 'r', aspf: 'r', pct: 100 },
    sourceIp: '192.0.2.7',
    disposition: 'none',
    dkim: 'pass',
    spf: 'fail',
    headerFrom: 'north.test',
    envelopeFrom: 'lists.test',
    signatures: [{ domain: 'north.test', selector: 's1', result: 'pass' }],
    spfCheck: { domain: 'lists.test', scope: 'mfrom', result: 'fail' },
    ...more,
  }
}

export function tlsFact(more: Partial<TlsFact> = {}): TlsFact {
  return { domain: 'far.test', policy: { type: 'no-policy-found', strings: [], mxHosts: [] }, ...more }
}

/** As if a process had seen these at noon, or at another time. */
export async function writeFacts(
  dataFolder: string,
  kind: ReportKind,
  facts: readonly Fact[],
  seenAt = noonAt,
): Promise<void> {
  const log = openFactLog({ dataFolder, kind, writer: 'test', clock: { now: () => seenAt }, log: silentLog() })
  for (const fact of facts) log.add(fact)
  await log.close()
}

export interface SentMail {
  readonly envelope: Envelope
  readonly text: string
}

export interface TestSending {
  readonly zone?: Zone
  readonly reports?: AggregateReportSettings
}

/** A host that would send reports, the day after. */
export async function testSending({ zone = {}, reports }: TestSending = {}) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'reports-'))
  const mails: SentMail[] = []
  const events: (readonly [string, Readonly<Record<string, unknown>>])[] = []
  const time = { now: Date.parse('2026-11-21T12:00:00Z') }
  const disk = { isFull: false }
  const from = 'reports@mx.test' as Mailbox
  const resolver = zoneResolver(zone)
  const parts = {
    configuration: {
      hostname: 'mx.test',
      pipeline: { aggregateReports: reports ?? { dmarc: { from, organisation: 'Example "Mail"' }, tls: { from } } },
    },
    dataFolder,
    resolver,
    pipeline: {
      submit: async (envelope: Envelope, content: Buffer) => {
        if (disk.isFull) throw new Error('no space left')
        mails.push({ envelope, text: content.toString() })
      },
    },
    events: {
      aggregateReportSent: (fields: Readonly<Record<string, unknown>>) => void events.push(['sent', fields]),
      aggregateReportFailed: (fields: Readonly<Record<string, unknown>>) => void events.push(['failed', fields]),
    },
    clock: { now: () => time.now },
    log: silentLog(),
  } as unknown as ReportParts
  const remove = (): Promise<void> => rm(dataFolder, { recursive: true })
  return { parts, mails, events, time, disk, resolver, dataFolder, from, remove }
}
