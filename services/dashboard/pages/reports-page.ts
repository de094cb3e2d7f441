import type { DmarcDomain, DmarcSource } from '../../../shared/received-reports/dmarc-summary.ts'
import type { TlsDomain, TlsFailureSum } from '../../../shared/received-reports/tls-summary.ts'
import type {
  AbuseView,
  DmarcView,
  RecentReport,
  ReportQuestion,
  TlsView,
} from '../../../shared/received-reports/views.ts'
import { formatSecond, plural } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { dayChart } from './day-chart.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, notice } from './parts.ts'
import { trafficPart } from './traffic-part.ts'
import type { TrafficSeen } from './traffic-part.ts'

export interface ReportsSeen extends TrafficSeen {
  readonly dmarc: DmarcView
  readonly tls: TlsView
  readonly abuse: AbuseView
}

const offered = [1, 7, 30, 90, 400]
/** Of complaints, and of reports; the API has more. */
const mostShown = 20

/** What others report to us: each text is theirs, and none of it is believed. */
export function reportsPage(
  { dmarc, tls, abuse, traffic, recipients }: ReportsSeen,
  question: ReportQuestion,
  at: number,
): Page {
  const isEmpty = dmarc.domains.length + tls.domains.length + abuse.complaints.length === 0
  const main = html`<div class="headline"><h1>Reports</h1><p class="quiet-text">What others report of mail in the name of our domains, and of TLS with our hosts; who sends here, and what bounces. Days are those of UTC.</p></div>
${periodTabs(question)}
${question.domain !== undefined && html`<p>Only <strong class="address">${question.domain}</strong> · <a href="${address({ days: question.days })}">all domains</a></p>`}
${(dmarc.cut || tls.cut || abuse.cut) && notice('waiting', 'These are not all.', 'There are more reports than are read at once: the newest are counted.')}
${isEmpty ? emptyText(question) : html`${dmarcPart(dmarc, question)}${tlsPart(tls, question)}${complaintsPart(abuse, at)}${receivedPart(dmarc, tls, at)}`}
${question.domain === undefined && trafficPart({ traffic, recipients })}`
  return { title: 'Reports', section: '/reports', at, main, still: true }
}

function periodTabs(question: ReportQuestion): Html {
  return html`<nav class="tabs" aria-label="Time">${offered.map(
    (days) =>
      html`<a href="${address({ ...question, days })}"${days === question.days && html` aria-current="page"`}>${days === 1 ? 'today' : `${days} days`}</a>
`,
  )}</nav>`
}

function address({ days, domain }: ReportQuestion): string {
  return `/reports?days=${days}${domain === undefined ? '' : `&domain=${encodeURIComponent(domain)}`}`
}

function emptyText({ days, domain }: ReportQuestion): Html {
  if (domain !== undefined) return html`<p class="empty">No report on ${domain} in the last ${days} days.</p>`
  return html`<p class="empty">No report in the last ${days} days. They come when DNS asks for them (<code>rua=</code> in the records <code>_dmarc</code> and <code>_smtp._tls</code>), and are kept when smtpd.conf sends their address to <code>queue://reports</code>.</p>`
}

function dmarcPart({ domains }: DmarcView, question: ReportQuestion): HtmlValue {
  const [first] = domains
  if (first === undefined) return undefined
  return html`<section aria-labelledby="dmarc"><h2 id="dmarc">Mail in our name (DMARC)</h2>
${dmarcDomains(domains, question)}
${domains.length === 1 && dmarcDetail(first)}</section>`
}

function dmarcDomains(domains: readonly DmarcDomain[], { days }: ReportQuestion): Html {
  return dataTable<DmarcDomain>(
    'Domains and how mail in their name fared',
    [
      {
        title: 'Domain',
        cell: ({ domain }) => html`<a class="address" href="${address({ days, domain })}">${domain}</a>`,
      },
      { title: 'Messages', numeric: true, cell: ({ messages }) => messages },
      { title: 'DMARC', numeric: true, cell: ({ passed, messages }) => rate(passed, messages) },
      { title: 'DKIM', numeric: true, cell: ({ dkimPassed, messages }) => share(dkimPassed, messages) },
      { title: 'SPF', numeric: true, cell: ({ spfPassed, messages }) => share(spfPassed, messages) },
      { title: 'To spam', numeric: true, cell: ({ quarantined }) => quarantined },
      { title: 'Rejected', numeric: true, cell: ({ rejected }) => rejected },
      { title: 'Policy', cell: policyText },
      { title: 'Reports', numeric: true, cell: reportCount },
    ],
    domains,
  )
}

function dmarcDetail(domain: DmarcDomain): Html {
  const { days, sources, moreSources, reporters } = domain
  return html`${dayChart(days, 'messages')}
<p class="quiet-text">Told by ${reporters.map(({ org, messages }) => `${org} (${messages})`).join(', ') || 'nobody whose mail could be believed'}.</p>
${sources.length > 0 && sourcesTable(sources)}
${moreSources > 0 && html`<p class="quiet-text">And ${plural(moreSources, 'source')} more, with fewer failures.</p>`}`
}

function sourcesTable(sources: readonly DmarcSource[]): Html {
  return dataTable<DmarcSource>(
    'Hosts that send in the name of the domain, those with the most failures first',
    [
      {
        title: 'Source',
        cell: ({ ip, reporters }) =>
          html`<strong class="address">${ip}</strong> <small class="below">seen by ${reporters.join(', ')}</small>`,
      },
      { title: 'Messages', numeric: true, cell: ({ messages }) => messages },
      { title: 'Failed', numeric: true, cell: ({ messages, passed }) => messages - passed },
      { title: 'DKIM', numeric: true, cell: ({ dkimPassed, messages }) => share(dkimPassed, messages) },
      { title: 'SPF', numeric: true, cell: ({ spfPassed, messages }) => share(spfPassed, messages) },
      { title: 'What to do', cell: ({ advice }) => html`<span class="advice">${advice}</span>` },
      {
        title: 'Checked as',
        cell: ({ signers, spfDomains }) => [...each('DKIM', signers), ...each('SPF', spfDomains)],
      },
    ],
    sources,
  )
}

function tlsPart({ domains }: TlsView, question: ReportQuestion): HtmlValue {
  const [first] = domains
  if (first === undefined) return undefined
  return html`<section aria-labelledby="tls"><h2 id="tls">TLS with our hosts (TLS-RPT)</h2>
${tlsDomains(domains, question)}
${domains.length === 1 && tlsDetail(first)}</section>`
}

function tlsDomains(domains: readonly TlsDomain[], { days }: ReportQuestion): Html {
  return dataTable<TlsDomain>(
    'Domains and how others reached their hosts by TLS',
    [
      {
        title: 'Domain',
        cell: ({ domain }) => html`<a class="address" href="${address({ days, domain })}">${domain}</a>`,
      },
      { title: 'Sessions', numeric: true, cell: ({ successful, failed }) => successful + failed },
      { title: 'Failed', numeric: true, cell: ({ failed }) => (failed === 0 ? 0 : badge('bad', String(failed))) },
      { title: 'TLS', numeric: true, cell: ({ successful, failed }) => rate(successful, successful + failed) },
      {
        title: 'Policy found',
        cell: ({ policies }) => policies.map((type) => policyNames.get(type) ?? type).join(', '),
      },
      { title: 'Told by', cell: ({ reporters }) => reporters.map(({ org }) => org).join(', ') },
      { title: 'Reports', numeric: true, cell: reportCount },
    ],
    domains,
  )
}

const policyNames: ReadonlyMap<string, string> = new Map([
  ['sts', 'MTA-STS'],
  ['tlsa', 'DANE'],
  ['no-policy-found', 'none'],
])

function tlsDetail({ days, failures }: TlsDomain): Html {
  return html`${dayChart(days, 'sessions')}
${
  failures.length === 0
    ? html`<p class="quiet-text">No failure was reported.</p>`
    : dataTable<TlsFailureSum>(
        'Failures by kind and mail host',
        [
          { title: 'Failure', cell: ({ type }) => html`<strong>${type}</strong>` },
          { title: 'Mail host', cell: ({ mx }) => html`<span class="address">${mx ?? 'not stated'}</span>` },
          { title: 'Sessions', numeric: true, cell: ({ sessions }) => sessions },
          { title: 'What to do', cell: ({ advice }) => html`<span class="advice">${advice}</span>` },
          { title: 'They add', cell: ({ detail }) => html`<span class="reply">${detail}</span>` },
          { title: 'Told by', cell: ({ reporters }) => reporters.join(', ') },
        ],
        failures,
      )
}`
}

function complaintsPart({ complaints }: AbuseView, at: number): HtmlValue {
  if (complaints.length === 0) return undefined
  return html`<section aria-labelledby="complaints"><h2 id="complaints">Complaints and single failures</h2>
${dataTable<AbuseView['complaints'][number]>(
  'Reports on single messages, the newest first',
  [
    { title: 'When', cell: ({ receivedAt }) => html`<span class="whole">${ago(receivedAt, at)} ago</span>` },
    {
      title: 'What',
      cell: ({ type, authFailure }) =>
        html`<strong>${type}</strong>${authFailure !== undefined && ` (${authFailure})`}`,
    },
    { title: 'Domain', cell: ({ domain }) => html`<span class="address">${domain}</span>` },
    { title: 'Sent from', cell: ({ sourceIp }) => html`<span class="address">${sourceIp}</span>` },
    { title: 'Count', numeric: true, cell: ({ incidents }) => incidents },
    { title: 'They did', cell: ({ deliveryResult }) => deliveryResult },
    { title: 'Told by', cell: ({ org }) => org },
    { title: 'By mail of', cell: mailOf },
  ],
  complaints.slice(0, mostShown),
)}</section>`
}

function receivedPart(dmarc: DmarcView, tls: TlsView, at: number): HtmlValue {
  const rows = [
    ...dmarc.recent.map((report) => ({ ...report, kind: 'DMARC' })),
    ...tls.recent.map((report) => ({ ...report, kind: 'TLS' })),
  ].toSorted((one, other) => other.receivedAt - one.receivedAt)
  if (rows.length === 0) return undefined
  return html`<section aria-labelledby="received"><h2 id="received">Reports received</h2>
<p class="quiet-text">Anybody can send one. What came by mail that failed DMARC is listed here, and is in no number above.</p>
${dataTable<RecentReport & { readonly kind: string }>(
  'Reports, the newest first',
  [
    { title: 'Came', cell: ({ receivedAt }) => html`<span class="whole">${ago(receivedAt, at)} ago</span>` },
    { title: 'Of', cell: ({ org }) => org },
    { title: 'On', cell: ({ kind, domains }) => html`${kind} of <span class="address">${domains.join(', ')}</span>` },
    { title: 'Time', cell: ({ beginAt, endAt }) => timeText(beginAt, endAt) },
    { title: 'Count', numeric: true, cell: ({ count }) => count },
    { title: 'By mail of', cell: mailOf },
    { title: 'Message', cell: ({ message }) => html`<a class="id" href="/messages/${message}">${message}</a>` },
  ],
  rows.slice(0, mostShown),
)}</section>`
}

function mailOf({ mailDomain, dmarc }: Pick<RecentReport, 'mailDomain' | 'dmarc'>): Html {
  return html`<span class="address">${mailDomain ?? 'nobody'}</span> ${dmarcBadge(dmarc)}`
}

function dmarcBadge(dmarc: string | undefined): Html {
  if (dmarc === undefined) return badge('plain', 'not checked')
  if (dmarc === 'pass') return badge('good', 'DMARC pass')
  return badge(dmarc === 'fail' ? 'bad' : 'waiting', `DMARC ${dmarc}`)
}

function timeText(beginAt: number, endAt: number): string {
  const begin = formatSecond(beginAt).slice(0, 10)
  const end = formatSecond(endAt).slice(0, 10)
  return begin === end ? begin : `${begin} to ${end}`
}

function reportCount({ reports, doubtful }: Pick<DmarcDomain, 'reports' | 'doubtful'>): HtmlValue {
  return doubtful === 0 ? reports : html`${reports} <span class="whole">${badge('bad', `${doubtful} doubtful`)}</span>`
}

function policyText({ policy: { p, pct, testing } }: DmarcDomain): string {
  if (p === undefined) return '–'
  const part = pct === undefined || pct === '100' ? '' : ` for ${pct} %`
  return `${p}${part}${testing === 'y' ? ', testing' : ''}`
}

/** In a tint when it should be looked at. */
function rate(part: number, whole: number): HtmlValue {
  if (whole === 0) return '–'
  return part === whole
    ? badge('good', share(part, whole))
    : badge(part / whole < 0.9 ? 'bad' : 'waiting', share(part, whole))
}

/** Never 100 % when something is missing. */
function share(part: number, whole: number): string {
  if (whole === 0) return '–'
  if (part === whole) return '100 %'
  return `${(Math.floor((part / whole) * 1000) / 10).toFixed(1)} %`
}

function each(by: string, names: readonly string[]): readonly Html[] {
  return names.map(
    (name) => html`<span class="below"><small>${by}</small> <span class="address">${name}</span></span> `,
  )
}
