import type { JobView, Seen } from '../../../shared/report/views.ts'
import { formatSize, plural } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { Preview } from '../preview.ts'
import { mayPreview } from '../visitor.ts'
import type { Visitor } from '../visitor.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, notice } from './parts.ts'

/** All that waits for an operator: kept back by a filter, by trouble or by hand. */
export function heldPage(jobs: Seen<readonly JobView[]>, most: number, visitor: Visitor, at: number): Page {
  const main = html`<div class="headline"><h1>Held</h1><p class="quiet-text">What a filter keeps back, what an operator holds, and what broke a worker.</p></div>
${jobs.kind === 'away' ? notice('bad', 'Redis is away.', jobs.reason) : heldTable(jobs.value, most, { visitor, at })}`
  return { title: 'Held', section: '/held', at, main }
}

function heldTable(
  jobs: readonly JobView[],
  most: number,
  look: { readonly visitor: Visitor; readonly at: number },
): Html {
  if (jobs.length === 0) return html`<p class="empty">Nothing is held.</p>`
  const { visitor, at } = look
  const table = dataTable<JobView>(
    'Held messages, with why and since when',
    [
      { title: 'Held', cell: (job) => ago(job.heldAt ?? job.receivedAt, at) },
      {
        title: 'By',
        cell: (job) => badge(job.quarantine === undefined ? 'waiting' : 'bad', job.quarantine ?? 'hand or trouble'),
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
  return html`<p class="quiet-text">${plural(jobs.length, 'message')}${jobs.length >= most && ' and more'}</p>${table}`
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
