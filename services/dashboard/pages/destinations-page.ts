import type { Destinations, DestinationView } from '../../../shared/report/destinations.ts'
import type { Seen } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import type { Page } from './layout.ts'
import { ago, ahead, dataTable, notice } from './parts.ts'

/** Where mail goes out to, those in trouble first. */
export function destinationsPage(seen: Seen<Destinations>, at: number): Page {
  const main = html`<div class="headline"><h1>Destinations</h1><p class="quiet-text">Domains and smarthosts that mail in the queue <a href="/queues/relay">relay</a> is for.</p></div>
<section aria-label="Destinations">${seen.kind === 'away' ? notice('bad', 'Redis is away.', seen.reason) : table(seen.value, at)}</section>`
  return { title: 'Destinations', section: '/destinations', at, main }
}

function table({ destinations, cut }: Destinations, at: number): Html {
  if (destinations.length === 0) return html`<p class="empty">No mail is on its way out.</p>`
  const shown = dataTable<DestinationView>(
    'Destinations and how mail gets on there',
    [
      { title: 'Destination', cell: destinationCell },
      { title: 'Waiting', numeric: true, cell: ({ waiting }) => waiting },
      { title: 'Active', numeric: true, cell: ({ active }) => active },
      { title: 'Delayed', numeric: true, cell: ({ delayed }) => delayed },
      { title: 'Oldest', cell: ({ oldestAt }) => ago(oldestAt, at) },
      { title: 'Tries', numeric: true, cell: ({ attempts }) => attempts },
      { title: 'Next', cell: ({ nextAt }) => (nextAt === undefined ? '' : ahead(nextAt, at)) },
      {
        title: 'Left alone until',
        cell: ({ aloneForMs }) => (aloneForMs === undefined ? '' : ahead(at + aloneForMs, at)),
      },
      { title: 'About', cell: ({ replyClass }) => replyClass },
      { title: 'It said', cell: ({ lastReply }) => html`<span class="reply">${lastReply}</span>` },
    ],
    destinations,
  )
  return html`${shown}${cut && html`<p class="quiet-text">There is more mail than was looked at: the numbers are of the first messages of each state.</p>`}`
}

function destinationCell({ name, lane }: DestinationView): Html {
  return html`<a href="/destinations/${encodeURIComponent(name)}"><strong class="address">${name}</strong></a>${lane !== undefined && html`<br><span class="quiet-text address" title="Shared with all domains that have the same mail servers">lane ${lane}</span>`}`
}
