import type { JournalEntry } from '../../../shared/journal.ts'
import { isMessageId } from '../../../shared/mail/message-id.ts'
import { tellStory } from '../../../shared/report/story.ts'
import type { StoryLine } from '../../../shared/report/story.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { badge, dataTable } from './parts.ts'

/** What happens to mail now, the newest first, and a word to look for in it. */
export function eventsPage(
  events: readonly JournalEntry[],
  look: { readonly word: string; readonly most: number },
  at: number,
): Page {
  const { word, most } = look
  const main = html`<div class="headline"><h1>Live</h1><p class="quiet-text">What happens to messages, in all processes, the newest first; at most ${most}.</p></div>
<form class="ask" action="/events" method="get" role="search" aria-label="Events">
<label>Only those with the word<input id="word" name="word" value="${word}" placeholder="address, id, event" maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
<div class="actions"><button class="primary">Filter</button>${word !== '' && html`<a class="button" href="/events">All</a>`}</div>
</form>
<section class="events" aria-label="Events">${table(events, word)}</section>`
  return { title: 'Live', section: '/events', at, main }
}

function table(events: readonly JournalEntry[], word: string): Html {
  if (events.length === 0)
    return html`<p class="empty">${word === '' ? 'Nothing has happened lately.' : `Nothing of late has “${word}” in it.`}</p>`
  const lines = events.flatMap((entry) => tellStory([entry]).map((line) => ({ line, id: entry.id })))
  return dataTable<{ readonly line: StoryLine; readonly id?: string | undefined }>(
    'Events, the newest first',
    [
      { title: 'Time', cell: ({ line }) => time(line.at) },
      { title: 'Event', cell: ({ line }) => badge(line.tone, line.event) },
      { title: 'What', cell: ({ line }) => html`<span class="reply">${line.text}</span>` },
      { title: 'Message', cell: ({ id }) => (id !== undefined && isMessageId(id) ? messageLink(id) : id) },
    ],
    lines,
  )
}

/** Of the day: the page is about now. */
function time(at: number): Html {
  const instant = new Date(at).toISOString()
  return html`<time datetime="${instant}" title="${instant}">${instant.slice(11, 19)}</time>`
}
