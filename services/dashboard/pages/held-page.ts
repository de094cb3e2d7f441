import type { JobView, Seen } from '../../../shared/report/views.ts'
import { formatSize, plural } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { Preview } from '../preview.ts'
import { mayPreview } from '../visitor.ts'
import type { Visitor } from '../visitor.ts'
import { chosenForm, heldDoneNotice } from './chosen-page.ts'
import type { DoneBefore } from './chosen-page.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, redisAway } from './parts.ts'

/** Rows of a page. */
export const heldPerPage = 200

export interface HeldLook {
  /** So many are on the pages before. */
  readonly start: number
  /** The boxes of all rows are ticked. */
  readonly allChosen: boolean
  readonly before: DoneBefore | undefined
  readonly visitor: Visitor
}

/** All that waits for an operator: kept back by a filter, by trouble or by hand. */
export function heldPage(jobs: Seen<readonly JobView[]>, look: HeldLook, at: number): Page {
  const main = html`<div class="headline"><h1>Quarantine</h1><p class="quiet-text">All that is held: what a filter keeps back, what an operator holds, and what broke a worker. <a href="/messages?q=status%3Aheld">Search among it</a></p></div>
${heldDoneNotice(look.before)}
${jobs.kind === 'away' ? redisAway(jobs.reason) : heldTable(jobs.value, look, at)}`
  return { title: 'Quarantine', section: '/held', at, main }
}

function heldTable(jobs: readonly JobView[], look: HeldLook, at: number): Html {
  const { visitor, start, allChosen } = look
  if (jobs.length === 0)
    return html`<p class="empty">${start === 0 ? 'Nothing is held.' : 'There are no more.'}</p>${pagesNav(look, jobs.length)}`
  const table = dataTable<JobView>(
    'Held messages, with why and since when',
    [
      ...(visitor.acts ? [{ title: 'Choose', cell: (job: JobView) => choice(job, allChosen) }] : []),
      { title: 'Held', cell: (job) => ago(job.heldAt ?? job.receivedAt, at) },
      {
        title: 'By',
        cell: (job) => badge(job.quarantine === undefined ? 'bad' : 'waiting', job.quarantine ?? 'hand or trouble'),
      },
      { title: 'Reason', cell: (job) => html`<span class="reply">${job.reason}</span>` },
      { title: 'From', cell: (job) => html`<span class="address">${job.from ?? '<>'}</span>` },
      {
        title: 'To',
        cell: (job) =>
          html`<span class="address">${job.to[0]}</span>${job.to.length > 1 && html` and ${job.to.length - 1} more`}`,
      },
      { title: 'Size', numeric: true, cell: (job) => formatSize(job.sizeBytes) },
      { title: 'Queue', cell: (job) => html`<a href="/queues/${job.queue}">${job.queue}</a>` },
      {
        title: 'Message',
        cell: (job) =>
          html`${messageLink(job.id)} ${mayPreview(visitor) && html`<a href="/messages/${job.id}/preview">preview</a>`}`,
      },
    ],
    jobs,
  )
  const all = `${pageLink(start)}${start === 0 ? '?' : '&'}all=yes`
  const choose = html`Choose some, or <a href="${allChosen ? pageLink(start) : all}">${allChosen ? 'none' : 'all'}</a> of them; what is done to them is asked once more. <a href="/messages/actions?q=status%3Aheld">Do something to all that is held…</a>`
  const isWhole = start === 0 && jobs.length < heldPerPage
  return html`<p class="quiet-text">${plural(jobs.length, 'message')}${isWhole ? '' : ' on this page'}. ${visitor.acts && choose}</p>
${table}${visitor.acts && chosenForm()}${pagesNav(look, jobs.length)}`
}

function choice({ id, from }: JobView, isChosen: boolean): Html {
  return html`<input type="checkbox" form="chosen" name="id" value="${id}"${isChosen && html` checked`} aria-label="${id} from ${from ?? '<>'}">`
}

function pagesNav({ start }: HeldLook, shown: number): HtmlValue {
  if (start === 0 && shown < heldPerPage) return undefined
  return html`<nav class="pages" aria-label="Further messages">${start > 0 && html`<a rel="prev" href="${pageLink(Math.max(0, start - heldPerPage))}">Previous page</a>`}
${shown >= heldPerPage && html`<a rel="next" href="${pageLink(start + heldPerPage)}">Next page</a>`}</nav>`
}

function pageLink(start: number): string {
  return start === 0 ? '/held' : `/held?start=${start}`
}

export function previewPage(id: string, preview: Preview, at: number): Page {
  const { fields, texts, files, cut } = preview
  const rows: readonly (readonly [string, HtmlValue])[] = [
    ['Envelope from', preview.from ?? '<>'],
    ...fields.map(({ name, value }) => [name, value] as const),
    ...files.map((file) => ['Part', file] as const),
  ]
  const main = html`<div class="headline"><h1>Preview of <span class="id">${id}</span></h1><p class="quiet-text">As text only: nothing in it can act, and nothing is loaded. <a href="/messages/${id}">Back to the message</a></p></div>
<section aria-labelledby="fields"><h2 id="fields">Header</h2><dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>
<section aria-labelledby="text"><h2 id="text">Text</h2>${texts.length === 0 ? html`<p class="empty">It has no text.</p>` : texts.map((text) => html`<pre class="letter">${text}</pre>`)}
${cut && html`<p class="quiet-text">The rest is not shown.</p>`}</section>`
  return { title: 'Preview', section: '/held', at, main, still: true }
}
