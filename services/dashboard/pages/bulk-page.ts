import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { mostBulk } from '../../../shared/operate/bulk-order.ts'
import type { BulkAction, BulkPreview } from '../../../shared/operate/bulk-order.ts'
import { plural } from '../../../shared/report/units.ts'
import type { CopyState } from '../../../shared/store/copy-state.ts'
import type { FoundMessage } from '../../../shared/store/found-message.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { foundTable, searchLink, stateTones } from './found-table.ts'
import { badge, dataTable, formTokenField, notice } from './parts.ts'
import { neededField, wayFields } from './way-fields.ts'

export interface BulkLook {
  readonly query: string
  /** What the numbers, and the orders of this page, are about: nothing that is accepted later. */
  readonly asOf: number
  readonly preview: BulkPreview
  readonly first: readonly FoundMessage[]
  readonly actions: readonly string[]
  readonly visitor: Visitor
}

interface Row {
  readonly action: Exclude<BulkAction, 'reroute' | 'replay'>
  readonly does: string
  readonly label: string
  readonly tone?: 'bad'
  readonly mayTakeKeptBack?: true
  /** What the number counts, and is not taken. */
  readonly but?: string
}

const rows: readonly Row[] = [
  { action: 'schedule', does: 'Tries it now', label: 'Try now' },
  { action: 'hold', does: 'Holds it', label: 'Hold' },
  { action: 'release', does: 'Releases it', label: 'Release', mayTakeKeptBack: true },
  {
    action: 'expire',
    does: 'Returns it to its senders',
    label: 'Return to senders',
    tone: 'bad',
    but: 'not what a filter keeps back',
  },
  { action: 'remove', does: 'Drops it for good, unreported', label: 'Remove', tone: 'bad', mayTakeKeptBack: true },
]

/** What can be done to all that a search finds, and to how much. */
export function bulkPage(look: BulkLook, at: number): Page {
  const { query, preview, first, visitor } = look
  const main = html`<div class="headline"><h1>All that is found</h1><p class="quiet-text">By <code>${query === '' ? 'no word: all messages' : query}</code>. <a href="${searchLink('/messages', query)}">Back to the search</a></p></div>
${preview.isCut && notice('waiting', 'There is more.', `No more than ${mostBulk.toLocaleString('en')} messages are taken at once: make the search narrower, for example by a time (after:1d).`)}
<section aria-labelledby="found"><h2 id="found">${plural(preview.messages, 'message')}${preview.isCut && ' and more'}</h2>
${statesTable(preview)}
${first.length > 0 && html`<h3 class="quiet-text">The first of them</h3>${foundTable('The first that are found', first, at)}`}</section>
${preview.messages > 0 && !preview.isCut && forms(look)}
<p class="quiet-text">Counted a moment ago; mail that comes in from now on is not meant. Of a message only the copies that are looked for are taken, with those that share their job. What a filter keeps back is left, unless you say so.${visitor.acts && html` <a href="/messages/runs">What was done before</a>`}</p>`
  return { title: 'All that is found', section: '/messages', at, main, still: true }
}

function statesTable({ states }: BulkPreview): HtmlValue {
  const found = Object.entries(states) as readonly (readonly [CopyState, number])[]
  if (found.length === 0) return html`<p class="empty">Nothing was found.</p>`
  return html`<ul class="states" aria-label="Copies by their state">${found.map(([state, copies]) => html`<li>${badge(stateTones[state], state)} <span class="num">${copies.toLocaleString('en')}</span></li>`)}</ul>`
}

function forms(look: BulkLook): Html {
  const { preview, visitor } = look
  const { reroute, replay } = preview.counts
  return html`<section aria-labelledby="all"><h2 id="all">Do to all of it</h2>
${dataTable<Row>(
  'What can be done, and to how much mail',
  [
    { title: 'What it does', cell: ({ does }) => does },
    { title: 'To how much', cell: (row) => howMuch(preview, row) },
    { title: 'Do it', cell: (row) => rowForm(look, row) },
  ],
  rows,
)}</section>
<section aria-labelledby="reroute"><h2 id="reroute">Relay it by way of another host</h2>
<p>This will reroute ${tell(reroute)}, as far as it is relayed; what a worker has at this moment follows from its next attempt on.</p>
${visitor.acts && reroute > 0 && html`<form class="ask" action="/messages/actions" method="post">${orderInputs(look, 'reroute')}${wayFields(look.actions, 'relay')}<button class="primary">Reroute</button></form>`}</section>
<section aria-labelledby="replay"><h2 id="replay">Let it go again</h2>
<p>This sends ${tell(replay)} again from the beginning, as far as it is still in the spool; with those who have it already ${tell(preview.again)}. A copy for another address is sent of ${tell(preview.copied)}, by the rules, and nothing to those they were for; what that address has already is left.</p>
${visitor.acts && preview.again > 0 && html`<form class="ask" action="/messages/actions" method="post">${orderInputs(look, 'replay')}<label class="check"><input type="checkbox" name="again" value="yes"> also to those who have it already</label><button class="primary">Send again</button></form>`}
${visitor.acts && preview.copied > 0 && html`<form class="ask" action="/messages/actions" method="post">${orderInputs(look, 'replay')}${neededField('to', 'A copy of each for another address', 'lab@example.org')}<button>Send copies</button></form>`}</section>`
}

/** Whether a filter keeps back what is held only its job tells. */
function howMuch({ counts, states }: BulkPreview, { action, mayTakeKeptBack, but }: Row): HtmlValue {
  const note = mayTakeKeptBack === true ? 'what a filter keeps back only with the tick' : but
  const hasHeld = (states.held ?? 0) > 0 && counts[action] > 0
  return html`${tell(counts[action])}${hasHeld && note !== undefined && html` <small class="below">${note}</small>`}`
}

function tell(messages: number): string {
  return messages === 0 ? 'nothing' : plural(messages, 'message')
}

function rowForm(look: BulkLook, { action, label, tone, mayTakeKeptBack }: Row): HtmlValue {
  const { preview, visitor } = look
  if (!visitor.acts || preview.counts[action] === 0) return undefined
  return html`<form class="inline" action="/messages/actions" method="post">${orderInputs(look, action)}<button${tone !== undefined && html` data-tone="${tone}"`}>${label}</button>${mayTakeKeptBack === true && html` <label class="check"><input type="checkbox" name="quarantined" value="yes"> also what a filter keeps back<span class="quiet">, when it comes to ${label.toLowerCase()}</span></label>`}</form>`
}

function orderInputs({ query, asOf, visitor }: BulkLook, action: BulkAction): Html {
  return html`${formTokenField(visitor)}<input type="hidden" name="q" value="${query}"><input type="hidden" name="asOf" value="${asOf}"><input type="hidden" name="action" value="${action}">`
}
