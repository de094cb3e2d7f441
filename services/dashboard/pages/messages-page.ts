import { queryExample } from '../../../shared/store/query.ts'
import type { FoundPage } from '../../../shared/store/found-message.ts'
import type { Seen } from '../../../shared/report/views.ts'
import { mostNameLength } from '../../../shared/searches/saved-searches.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { CountedSearch } from '../search-shelf.ts'
import type { Visitor } from '../visitor.ts'
import { foundTable, searchLink } from './found-table.ts'
import type { Page } from './layout.ts'
import { formTokenField, notice } from './parts.ts'
import { savedLink } from './searches-page.ts'

export interface MessagesLook {
  /** As it was typed. */
  readonly query: string
  readonly saved: readonly CountedSearch[]
  readonly visitor: Visitor
  /** It is not the first page. */
  readonly isLater: boolean
  readonly found?: Seen<FoundPage>
  /** Why the query cannot be understood. */
  readonly problem?: string
}

/** All messages that were accepted, or those that are looked for, newest first. */
export function messagesPage(look: MessagesLook, at: number): Page {
  const { query, found, problem } = look
  const main = html`<div class="headline"><h1>Messages</h1><p class="quiet-text">All that came by, newest first; times are UTC.</p></div>
${searchForm(query)}
${savedLinks(look)}
${problem === undefined && saveForm(look)}
${problem !== undefined && notice('bad', 'This cannot be looked for.', problem)}
${found?.kind === 'away' && notice('bad', 'The message store cannot be asked.', found.reason)}
${found?.kind === 'seen' && foundMessages(found.value, look, at)}`
  return { title: 'Messages', section: '/messages', at, main, still: true }
}

function savedLinks({ saved }: MessagesLook): HtmlValue {
  if (saved.length === 0) return undefined
  return html`<nav class="saved" aria-label="Saved searches">${saved.map(savedLink)} <a class="quiet-text" href="/messages/searches">All saved searches</a></nav>`
}

function saveForm({ query, visitor }: MessagesLook): HtmlValue {
  if (!visitor.acts || query === '') return undefined
  return html`<details class="words"><summary>Save this search</summary><form class="ask" action="/messages/searches/save" method="post">${formTokenField(visitor)}<input type="hidden" name="q" value="${query}">
<label>Name<input name="name" required maxlength="${mostNameLength}" autocomplete="off"></label>
<label class="check"><input type="checkbox" name="own" value="yes"> for me alone</label>
<button class="primary">Save</button></form></details>`
}

const words: readonly (readonly [example: string, meaning: string])[] = [
  [
    'jane@example.org',
    'from or to this address; to: and from: for one side, @example.org for all of a domain, to:jane for her name in any',
  ],
  [
    'status:failed,delayed',
    'queued, delayed, held, delivered, relayed, failed, discarded, removed, refused; open for all without an end',
  ],
  ['domain:example.org', 'a domain of the recipients'],
  [
    '2026-11-20..2026-11-21',
    'the days from the one to the other; today, yesterday and -2h (the last two hours) stand alone, too',
  ],
  ['after:2026-11-20T14:30 before:2d', 'a time (UTC) or how long ago: 30m, 6h, 2d'],
  ['"mailbox full"', 'what was said of it, in any attempt: a reply or a reason'],
  ['subject:"order 4711"', 'its subject, where `events subjects` is in pipeline.conf'],
  ['queue:relay', 'the queue it is in, or where it ended'],
  ['tag:Filtered', 'a tag it has'],
  ['rule:44', 'a line of smtpd.conf it went by; smtpd.conf:44 where there are several files'],
  ['class:rate-limit', 'what a refusal is about'],
  ['client:192.0.2.7', 'who handed it over; user: and listener: how'],
  ['message-id:<a.b@example.org>', 'its Message-ID field; id: the id of its 250 reply'],
  ['-status:delivered', 'a minus leaves out what it says'],
]

function searchForm(query: string): Html {
  return html`<form class="search" action="/messages" method="get" role="search">
<label for="query" class="quiet">Search</label>
<input id="query" name="q" type="search" value="${query}" placeholder="${queryExample}" maxlength="1000" autocomplete="off" autocapitalize="none" spellcheck="false">
<button class="primary">Search</button>
</form>
<details class="words"><summary>What can be looked for</summary><dl class="facts">${words.map(([example, meaning]) => html`<div><dt><a href="${searchLink('/messages', example)}"><code>${example}</code></a></dt><dd>${meaning}</dd></div>`)}</dl></details>`
}

function foundMessages({ messages, next }: FoundPage, { query, isLater }: MessagesLook, at: number): Html {
  const older = next !== undefined && html`<a href="${searchLink('/messages', query, next)}" rel="next">Older</a>`
  const newest = isLater && html`<a href="${searchLink('/messages', query)}" rel="first">Newest</a>`
  if (messages.length === 0)
    return html`<p class="empty">${isLater ? 'There are no older ones.' : query === '' ? 'No message yet.' : 'Nothing was found.'}</p>${newest}`
  return html`${foundTable('Messages that were found', messages, at)}<p class="quiet-text"><a href="${searchLink('/messages/actions', query)}">Do something to all that is found…</a></p><nav class="pages" aria-label="Further messages">${newest}${older}</nav>`
}
