import { hourMs, keptHours } from '../../../shared/destinations/known.ts'
import type { DestinationHistory, Refusal, SeenPolicy, SeenTls } from '../../../shared/destinations/known.ts'
import { formatSecond } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { DestinationDetail } from '../source.ts'
import { destinationNow } from './destination-now.ts'
import { ago, badge, dataTable, notice } from './parts.ts'
import { stackedBars } from './stacked-bars.ts'

/** One destination as it is now and was in the last 24 hours: by the hour, what it said, and how the way to it is secured. */
export function aboutDestination(detail: DestinationDetail, at: number): Html {
  const { history } = detail
  return html`${destinationNow(detail, at)}${history === undefined ? html`<p class="empty">No attempt was made in the last 24 hours.</p>` : historyOf(history, at)}`
}

function historyOf(history: DestinationHistory, at: number): Html {
  const { hours, refusals, tls, policy } = history
  return html`<section aria-labelledby="day"><h2 id="day">The last 24 hours</h2>
${hourChart(hours, at)}</section>
<section aria-labelledby="tls"><h2 id="tls">On the way</h2>
<p>${securedBy(tls)} ${tls !== undefined && html`<span class="quiet-text">(${ago(tls.at, at)} ago)</span>`}</p>
${demanded(policy, at)}</section>
<section aria-labelledby="said"><h2 id="said">What was said against it</h2>
${refusals.length === 0 ? html`<p class="empty">Nothing.</p>` : refusalTable(refusals, at)}</section>`
}

/** A few words for a table. */
export function tlsBadge({ tls, policy }: Pick<DestinationHistory, 'tls' | 'policy'>): HtmlValue {
  if (policy?.failure !== undefined) return badge('bad', `${nameOf(policy)} not met`)
  if (tls === undefined) return undefined
  if (tls.session === undefined) return badge('waiting', tls.unused === true ? 'plain, TLS offered' : 'plain')
  const { trust = 'unverified' } = tls
  return trust === 'unverified' ? badge('plain', 'TLS') : badge('good', trustNames[trust])
}

const trustNames = { verified: 'TLS, verified', 'mta-sts': 'MTA-STS', dane: 'DANE', unverified: 'TLS' } as const

function hourChart(hours: DestinationHistory['hours'], at: number): Html {
  const known = new Map(hours.map((hour) => [hour.at, hour]))
  const first = at - (at % hourMs) - (keptHours - 1) * hourMs
  const bars = Array.from({ length: keptHours }, (_, index) => {
    const begin = first + index * hourMs
    const { sent = 0, later = 0, refused = 0 } = known.get(begin) ?? {}
    return { title: `${new Date(begin).toISOString().slice(11, 13)}:00Z`, counts: [sent, later, refused] }
  })
  return stackedBars(bars, {
    parts: [
      { tone: 'good', name: 'sent' },
      { tone: 'waiting', name: 'put off' },
      { tone: 'bad', name: 'refused' },
    ],
    about: 'copies by hour',
    most: (most) => `at most ${most} an hour`,
  })
}

function refusalTable(refusals: readonly Refusal[], at: number): Html {
  return dataTable<Refusal>(
    'What was said against mail, by what it is about',
    [
      { title: 'About', cell: ({ replyClass }) => html`<strong>${replyClass}</strong>` },
      { title: 'Times', numeric: true, cell: ({ times }) => times },
      { title: 'Last', cell: (refusal) => ago(refusal.at, at) },
      { title: 'It said', cell: ({ reply }) => html`<span class="reply">${reply}</span>` },
      { title: 'Who', cell: ({ host }) => host !== undefined && html`<span class="address">${host}</span>` },
    ],
    refusals,
  )
}

function securedBy(tls: SeenTls | undefined): HtmlValue {
  if (tls === undefined) return 'No host has answered.'
  if (tls.session === undefined)
    return tls.unused === true
      ? 'Plain text, although the host offers STARTTLS.'
      : 'Plain text: the host offers no TLS.'
  const { trust = 'unverified' } = tls
  return html`${tls.session}, ${trust === 'unverified' ? 'the certificate was not looked at' : html`held against ${trustTexts[trust]}`}.`
}

const trustTexts = {
  verified: 'the authorities this system trusts',
  'mta-sts': 'the MTA-STS policy of the domain',
  dane: 'the TLSA records of the host (DANE)',
} as const

function demanded(policy: SeenPolicy | undefined, at: number): HtmlValue {
  if (policy === undefined) return undefined
  if (policy.failure !== undefined)
    return notice('bad', `${nameOf(policy)} is not met.`, `${policy.failure}, at ${formatSecond(policy.at)}`)
  const text = policy.type === 'none' ? 'The domain demands nothing' : `The domain demands TLS by ${nameOf(policy)}`
  return html`<p>${text} <span class="quiet-text">(${ago(policy.at, at)} ago)</span></p>`
}

function nameOf({ type }: SeenPolicy): string {
  return { dane: 'DANE', 'mta-sts': 'MTA-STS', none: 'TLS' }[type]
}
