import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { mostNameLength } from '../../../shared/searches/saved-searches.ts'
import type { CountedSearch } from '../search-shelf.ts'
import type { Visitor } from '../visitor.ts'
import { searchLink } from './found-table.ts'
import type { Page } from './layout.ts'
import { ago, dataTable, formTokenField } from './parts.ts'

/** Searches that are kept under names, with how much each finds now. */
export function searchesPage(saved: readonly CountedSearch[], visitor: Visitor, at: number): Page {
  const main = html`<div class="headline"><h1>Saved searches</h1><p class="quiet-text">Counted every half minute while somebody looks; a search is saved where it is made, on the page <a href="/messages">Messages</a>.</p></div>
${saved.length === 0 ? html`<p class="empty">None yet.</p>` : searchTable(saved, visitor, at)}`
  return { title: 'Saved searches', section: '/messages', at, main }
}

function searchTable(saved: readonly CountedSearch[], visitor: Visitor, at: number): Html {
  return dataTable<CountedSearch>(
    'Saved searches, by name',
    [
      { title: 'Name', cell: ({ name, query }) => html`<a href="${searchLink('/messages', query)}">${name}</a>` },
      { title: 'Found', numeric: true, cell: (search) => countText(search) ?? '–' },
      { title: 'Search', cell: ({ query }) => html`<code>${query === '' ? 'all' : query}</code>` },
      { title: 'Whose', cell: ({ owner }) => (owner === undefined ? 'everybody’s' : 'yours alone') },
      { title: 'Saved', cell: ({ by, at: savedAt }) => html`${ago(savedAt, at)} ago by ${by}` },
      ...(visitor.acts ? [{ title: 'Change', cell: (search: CountedSearch) => changeLink(search) }] : []),
    ],
    saved,
  )
}

function changeLink({ name, owner }: CountedSearch): Html {
  const asked = new URLSearchParams({ name, ...(owner === undefined ? {} : { own: 'yes' }) })
  return html`<a href="/messages/searches/change?${asked.toString()}">Change…<span class="quiet"> ${name}</span></a>`
}

/** A name that leads to what is found, with its number. */
export function savedLink(search: CountedSearch): Html {
  const number = countText(search)
  return html`<a href="${searchLink('/messages', search.query)}" title="${search.query}">${search.name}${number !== undefined && html` <span class="num">${number}</span>`}</a> `
}

function countText({ found }: CountedSearch): string | undefined {
  return found && `${found.count.toLocaleString('en')}${found.isCut ? '+' : ''}`
}

export function changeSearchPage({ name, query, owner }: CountedSearch, visitor: Visitor, at: number): Page {
  const key: HtmlValue = html`${formTokenField(visitor)}<input type="hidden" name="name" value="${name}">${owner !== undefined && html`<input type="hidden" name="own" value="yes">`}`
  const main = html`<div class="headline"><h1>Saved search ${name}</h1><p class="quiet-text"><code>${query === '' ? 'all' : query}</code> <a href="/messages/searches">All saved searches</a></p></div>
<section aria-labelledby="rename"><h2 id="rename">Rename</h2><form class="ask" action="/messages/searches/rename" method="post">${key}<label>New name<input name="to" value="${name}" required maxlength="${mostNameLength}" autocomplete="off"></label><button class="primary">Rename</button></form></section>
<section aria-labelledby="query"><h2 id="query">Look for something else</h2><form class="ask" action="/messages/searches/save" method="post">${key}<label>Search<input name="q" value="${query}" maxlength="1000" autocomplete="off" autocapitalize="none" spellcheck="false"></label><button class="primary">Save</button></form></section>
<section aria-labelledby="delete"><h2 id="delete">Delete</h2><form action="/messages/searches/delete" method="post">${key}<button data-tone="bad">Delete</button></form></section>`
  return { title: `Saved search ${name}`, section: '/messages', at, main, still: true }
}
