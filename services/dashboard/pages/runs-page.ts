import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { BulkRun } from '../../../shared/operate/bulk-files.ts'
import { describeRun, orderName } from '../../../shared/operate/bulk-runs.ts'
import { formatSecond } from '../../../shared/report/units.ts'
import type { Visitor } from '../visitor.ts'
import { searchLink } from './found-table.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, formTokenField } from './parts.ts'
import type { Tone } from './parts.ts'

const tones = {
  running: 'plain',
  stopped: 'waiting',
  cancelled: 'waiting',
  failed: 'bad',
  done: 'good',
} as const satisfies Record<BulkRun['state'], Tone>

/** What was done to all that a search found, newest first. */
export function runsPage(runs: readonly BulkRun[], at: number): Page {
  const main = html`<div class="headline"><h1>Runs</h1><p class="quiet-text">What was done to all that a search found, in the last 30 days. <a href="/messages">Messages</a></p></div>
${runs.length === 0 ? html`<p class="empty">Nothing yet.</p>` : runsTable(runs, at)}`
  return { title: 'Runs', section: '/messages', at, main }
}

function runsTable(runs: readonly BulkRun[], at: number): Html {
  return dataTable<BulkRun>(
    'Runs, newest first',
    [
      { title: 'Begun', cell: ({ startedAt }) => ago(startedAt, at) },
      { title: 'What', cell: ({ id, order }) => html`<a href="/messages/runs/${id}">${orderName(order)}</a>` },
      { title: 'Search', cell: ({ order }) => html`<code>${order.query}</code>` },
      { title: 'By', cell: ({ by }) => by },
      { title: 'State', cell: ({ state }) => badge(tones[state], state) },
      { title: 'How far', cell: (run) => html`<span class="reply">${describeRun(run)}</span>` },
    ],
    runs,
  )
}

/** How far one is; kept up to date while it is under way. */
export function runPage(run: BulkRun, visitor: Visitor, at: number): Page {
  const { id, order, by, startedAt, messages, turns, state } = run
  const facts: readonly (readonly [string, HtmlValue])[] = [
    [
      'Search',
      html`<a href="${searchLink('/messages', order.query)}"><code>${order.query === '' ? 'all' : order.query}</code></a>, as of ${formatSecond(order.asOf)}`,
    ],
    ['By', by],
    ['Begun', formatSecond(startedAt)],
    ['Last sign of life', formatSecond(run.at)],
    ...(order.way === undefined ? [] : [['To', order.way.to ?? order.way.action ?? 'where the rules say'] as const]),
    ...(order.again === true ? [['Again', 'also to those who had it'] as const] : []),
    ...(order.quarantined === true ? [['Quarantine', 'also what a filter keeps back'] as const] : []),
  ]
  const main = html`<div class="headline"><h1>Run: ${orderName(order)} ${badge(tones[state], state)}</h1><p class="quiet-text"><a href="/messages/runs">All runs</a></p></div>
<p><label>Messages that had their turn <progress max="${messages}" value="${turns}">${turns} of ${messages}</progress></label> ${turns.toLocaleString('en')} of ${messages.toLocaleString('en')}</p>
<p>${describeRun(run)}</p>
${visitor.acts && buttons(run, visitor)}
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
  return {
    title: `Run ${id}`,
    section: '/messages',
    at,
    main,
    ...(state === 'running' || state === 'stopped' ? {} : { still: true }),
  }
}

function buttons({ id, state }: BulkRun, visitor: Visitor): HtmlValue {
  const button = (what: 'cancel' | 'resume', label: string): Html =>
    html`<form action="/messages/runs/${id}/${what}" method="post">${formTokenField(visitor)}<button id="${what}">${label}</button></form>`
  switch (state) {
    case 'done':
      return undefined
    case 'running':
      return html`<div class="actions">${button('cancel', 'Cancel')}</div>`
    case 'stopped':
      return html`<div class="actions">${button('resume', 'Go on')}${button('cancel', 'Cancel')}</div>`
    case 'failed':
    case 'cancelled':
      return html`<div class="actions">${button('resume', 'Go on')}</div>`
  }
}
