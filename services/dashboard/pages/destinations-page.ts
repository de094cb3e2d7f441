import type { Destinations, DestinationView } from '../../../shared/report/destinations.ts'
import type { Seen } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { tlsBadge } from './destination-parts.ts'
import type { Page } from './layout.ts'
import { ago, ahead, dataTable, redisAway } from './parts.ts'

/** Where mail goes out to, those in trouble first. */
export function destinationsPage(seen: Seen<Destinations>, at: number): Page {
  const main = html`<div class="headline"><h1>Destinations</h1><p class="quiet-text">Domains and smarthosts that mail in the queue <a href="/queues/relay">relay</a> is for, and those of the last 24 hours.</p></div>
<section aria-label="Destinations">${seen.kind === 'away' ? redisAway(seen.reason) : table(seen.value, at)}</section>`
  return { title: 'Destinations', section: '/destinations', at, main }
}

function table({ destinations, cut }: Destinations, at: number): Html {
  if (destinations.length === 0)
    return html`<p class="empty">No mail is on its way out, and none went out in the last 24 hours.</p>`
  const shown = dataTable<DestinationView>(
    'Destinations and how mail gets on there',
    [
      { title: 'Destination', cell: destinationCell },
      { title: 'Waiting', numeric: true, cell: ({ waiting, active }) => waiting + active },
      { title: 'Delayed', numeric: true, cell: ({ delayed }) => delayed },
      { title: 'Oldest', cell: ({ oldestAt }) => oldestAt !== undefined && ago(oldestAt, at) },
      { title: 'Next', cell: (view) => nextCell(view, at) },
      { title: 'Sent, 24 h', numeric: true, cell: ({ day }) => day?.sent },
      { title: 'Put off', numeric: true, cell: ({ day }) => day?.later },
      { title: 'Refused', numeric: true, cell: ({ day }) => day?.refused },
      { title: 'TLS', cell: ({ history }) => history !== undefined && tlsBadge(history) },
      { title: 'It said', cell: (view) => saidCell(view) },
    ],
    destinations,
  )
  return html`${shown}${cut && html`<p class="quiet-text">There is more mail than was looked at: the numbers are of the first messages of each state.</p>`}`
}

function nextCell({ nextAt, aloneForMs, attempts }: DestinationView, at: number): HtmlValue {
  if (aloneForMs !== undefined) return html`left alone, ${ahead(at + aloneForMs, at)}`
  if (nextAt === undefined) return undefined
  return html`${ahead(nextAt, at)}<br><span class="quiet-text">try ${attempts + 1}</span>`
}

/** To the message that was tried most often, else the latest of the day. */
function saidCell({ lastReply, replyClass, history }: DestinationView): HtmlValue {
  if (lastReply !== undefined)
    return html`${replyClass !== undefined && html`<strong>${replyClass}</strong> `}<span class="reply">${lastReply}</span>`
  const latest = history?.refusals.toSorted((one, other) => other.at - one.at)[0]
  return latest !== undefined && html`<strong>${latest.replyClass}</strong> <span class="reply">${latest.reply}</span>`
}

function destinationCell({ name, lane }: DestinationView): Html {
  return html`<a href="/destinations/${encodeURIComponent(name)}"><strong class="address">${name}</strong></a>${lane !== undefined && html`<br><span class="quiet-text address" title="Shared with all domains that have the same mail servers">lane ${lane}</span>`}`
}
