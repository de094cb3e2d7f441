import type { EventFilter } from '../../../shared/event-tail.ts'
import type { JournalEntry } from '../../../shared/journal.ts'
import { messageEvents } from '../../../shared/mail/event-names.ts'
import { isMessageId } from '../../../shared/mail/message-id.ts'
import { tellStory } from '../../../shared/report/story.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { badge, dataRow, dataTable } from './parts.ts'
import type { Column } from './parts.ts'

/** Of sessions that have no message. */
const sessionEvents = ['auth failed', 'tls failed', 'rate exceeded', 'banned', 'filter report'] as const
const stages = ['filter', 'sign', 'deliver', 'relay', 'connect', 'helo', 'auth', 'mail', 'rcpt', 'data'] as const

/** What happens now, the newest first, and what to look for in it. Rows that come are put before the others by live.js. */
export function eventsPage(
  events: readonly JournalEntry[],
  look: EventFilter & { readonly words: readonly string[]; readonly most: number; readonly after: string },
  at: number,
): Page {
  const { words, event, stage, most, after } = look
  const asked = new URLSearchParams({
    ...(words.length === 0 ? {} : { word: words.join(' ') }),
    ...(event === undefined ? {} : { event }),
    ...(stage === undefined ? {} : { stage }),
  }).toString()
  const main = html`<div class="headline"><h1>Live</h1><p class="quiet-text">What happens to messages, and in sessions before there is one, in all processes, the newest first; at most ${most}.</p></div>
<form class="ask" action="/events" method="get" role="search" aria-label="Events">
<label>Only those with the words<input id="word" name="word" value="${words.join(' ')}" placeholder="address, id, reply" maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
${choice('event', 'Event', [...messageEvents, ...sessionEvents], event)}
${choice('stage', 'Stage', stages, stage)}
<div class="actions"><button class="primary">Filter</button>${asked !== '' && html`<a class="button" href="/events">All</a>`}</div>
</form>
<p id="missed" class="quiet-text" role="status" hidden></p>
<section class="events" aria-label="Events" data-stream="/events/stream?${asked}" data-after="${after}" data-most="${most}">${events.length === 0 && html`<p class="empty">${asked === '' ? 'Nothing has happened lately.' : 'Nothing of late fits.'}</p>`}${dataTable('Events, the newest first', columns, events)}</section>`
  return { title: 'Live', section: '/events', at, main }
}

/** One row of the table. */
export function eventRow(entry: JournalEntry): Html {
  return dataRow(columns, entry)
}

const columns: readonly Column<JournalEntry>[] = [
  { title: 'Time', cell: ({ at }) => time(at) },
  { title: 'Event', cell: (entry) => tellStory([entry]).map(({ tone, event }) => badge(tone, event)) },
  {
    title: 'What',
    cell: (entry) => tellStory([entry]).map(({ text }) => html`<span class="reply">${text}</span>`),
  },
  { title: 'Message', cell: ({ id }): HtmlValue => (id !== undefined && isMessageId(id) ? messageLink(id) : id) },
]

function choice(name: string, label: string, all: readonly string[], chosen: string | undefined): Html {
  const named = chosen === undefined || all.includes(chosen) ? all : [...all, chosen]
  return html`<label>${label}<select name="${name}"><option value="">any</option>${named.map((one) => html`<option${one === chosen && html` selected`}>${one}</option>`)}</select></label>`
}

/** Of the day: the page is about now. */
function time(at: number): Html {
  const instant = new Date(at).toISOString()
  return html`<time datetime="${instant}" title="${instant}">${instant.slice(11, 19)}</time>`
}
