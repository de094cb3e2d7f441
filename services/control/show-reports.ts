import type { DmarcDomain } from '../../shared/received-reports/dmarc-summary.ts'
import { ReceivedReportsReader } from '../../shared/received-reports/reader.ts'
import { receivedReportsFolder } from '../../shared/received-reports/store.ts'
import type { TlsDomain } from '../../shared/received-reports/tls-summary.ts'
import { usualDays, viewAbuse, viewDmarc, viewTls } from '../../shared/received-reports/views.ts'
import type { AbuseView, DmarcView, TlsView } from '../../shared/received-reports/views.ts'
import { formatSecond, plural } from '../../shared/report/units.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf } from './connect.ts'
import { daysOf } from './days.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'
import type { Column } from './text-table.ts'

export const showReports: Command = {
  words: ['show', 'reports'],
  operands: [],
  options: [
    { name: 'domain', value: 'D', summary: 'on this domain only, with its sources and failures' },
    { name: 'days', value: 'N', summary: `of the last so many days (${usualDays})` },
  ],
  summary: 'what others report of mail in our name and of TLS with our hosts; needs no Redis',
  run: show,
}

interface Seen {
  readonly dmarc: DmarcView
  readonly tls: TlsView
  readonly abuse: AbuseView
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const domain = options.text('domain')?.toLowerCase()
  const question = { days: daysOf(options.text('days'), usualDays), ...(domain === undefined ? {} : { domain }) }
  const reader = new ReceivedReportsReader(receivedReportsFolder(dataFolderOf(invocation)))
  const nowAt = Date.now()
  const [dmarc, tls, abuse] = await Promise.all([
    viewDmarc(reader, question, nowAt),
    viewTls(reader, question, nowAt),
    viewAbuse(reader, question, nowAt),
  ])
  const seen = { dmarc, tls, abuse }
  if (options.has('json')) terminal.print(JSON.stringify(seen, undefined, 2))
  else for (const line of reportsText(seen, domain !== undefined, terminal)) terminal.print(line)
  return exitCodes.done
}

/** @param isWhole sources and failures too */
export function reportsText({ dmarc, tls, abuse }: Seen, isWhole: boolean, terminal: Terminal): readonly string[] {
  const isCut = dmarc.cut || tls.cut || abuse.cut
  const blocks = [
    dmarcText(dmarc.domains, terminal),
    ...(isWhole ? dmarc.domains.map((domain) => sourcesText(domain, terminal)) : []),
    tlsText(tls.domains, terminal),
    ...(isWhole ? tls.domains.map((domain) => failuresText(domain, terminal)) : []),
    complaintsText(abuse, terminal),
    isCut ? ['There are more reports than were read: the newest are counted.'] : [],
  ].filter((block) => block.length > 0)
  if (blocks.length === 0) return ['No reports.']
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]))
}

function dmarcText(domains: readonly DmarcDomain[], terminal: Terminal): readonly string[] {
  if (domains.length === 0) return []
  const columns = [
    { title: 'DMARC of' },
    right('messages'),
    right('failed'),
    right('DKIM'),
    right('SPF'),
    right('to spam'),
    right('rejected'),
    { title: 'policy' },
    right('reports'),
  ]
  return textTable(
    columns,
    domains.map((one) => [
      terminal.paint('bold', visible(one.domain)),
      String(one.messages),
      painted(terminal, one.messages - one.passed),
      String(one.dkimPassed),
      String(one.spfPassed),
      String(one.quarantined),
      String(one.rejected),
      visible(one.policy.p ?? '-'),
      `${one.reports}${one.doubtful === 0 ? '' : ` (and ${one.doubtful} doubtful)`}`,
    ]),
  )
}

function sourcesText({ sources, moreSources }: DmarcDomain, terminal: Terminal): readonly string[] {
  if (sources.length === 0) return []
  const rows = sources.map((source) => [
    `  ${visible(source.ip)}`,
    String(source.messages),
    painted(terminal, source.messages - source.passed),
    visible(source.advice),
  ])
  const more = moreSources === 0 ? [] : [`  and ${plural(moreSources, 'source')} more`]
  return [
    '',
    ...textTable([{ title: '  source' }, right('messages'), right('failed'), { title: 'what to do' }], rows),
    ...more,
  ]
}

function tlsText(domains: readonly TlsDomain[], terminal: Terminal): readonly string[] {
  if (domains.length === 0) return []
  const rows = domains.map((one) => [
    terminal.paint('bold', visible(one.domain)),
    String(one.successful + one.failed),
    painted(terminal, one.failed),
    visible(one.policies.join(' ')),
    `${one.reports}${one.doubtful === 0 ? '' : ` (and ${one.doubtful} doubtful)`}`,
  ])
  const columns = [{ title: 'TLS of' }, right('sessions'), right('failed'), { title: 'policy' }, right('reports')]
  return textTable(columns, rows)
}

function failuresText({ failures }: TlsDomain, terminal: Terminal): readonly string[] {
  if (failures.length === 0) return []
  const rows = failures.map(({ type, mx, sessions, advice }) => [
    `  ${visible(type)}`,
    visible(mx ?? '-'),
    painted(terminal, sessions),
    visible(advice),
  ])
  const columns = [{ title: '  failure' }, { title: 'host' }, right('sessions'), { title: 'what to do' }]
  return textTable(columns, rows)
}

function complaintsText({ complaints }: AbuseView, terminal: Terminal): readonly string[] {
  if (complaints.length === 0) return []
  const rows = complaints.map(({ receivedAt, type, domain, sourceIp, org }) => [
    formatSecond(receivedAt),
    terminal.paint('bold', visible(type)),
    visible(domain ?? '-'),
    visible(sourceIp ?? '-'),
    visible(org),
  ])
  const columns = [
    { title: 'came' },
    { title: 'complaint' },
    { title: 'domain' },
    { title: 'sent from' },
    { title: 'told by' },
  ]
  return textTable(columns, rows)
}

function painted(terminal: Terminal, count: number): string {
  return count === 0 ? '0' : terminal.paint('red', String(count))
}

function right(title: string): Column {
  return { title, align: 'right' }
}
