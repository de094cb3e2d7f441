import { formatSize } from '../../../shared/report/units.ts'
import type { JobView } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { ago, ahead, badge, dataTable } from './parts.ts'
import type { Column, Tone } from './parts.ts'

const stateTones = {
  waiting: 'plain',
  active: 'good',
  delayed: 'waiting',
  held: 'bad',
  done: 'good',
} as const satisfies Record<JobView['state'], Tone>

/** Jobs with what an operator asks first: who to whom, since when, what the last answer was, when it is tried again. */
export function jobTable(
  caption: string,
  jobs: readonly JobView[],
  nowAt: number,
  options: { readonly queue?: boolean; readonly message?: boolean } = {},
): Html {
  const columns: readonly Column<JobView>[] = [
    { title: 'Age', cell: (job) => ago(job.receivedAt, nowAt) },
    ...(options.queue === true ? [{ title: 'Queue', cell: queueLink }] : []),
    { title: 'State', cell: (job) => badge(stateTones[job.state], job.state) },
    { title: 'From', cell: (job) => html`<span class="address">${job.from ?? '<>'}</span>` },
    { title: 'To', cell: recipients },
    { title: 'Size', numeric: true, cell: (job) => formatSize(job.sizeBytes) },
    { title: 'Tries', cell: (job) => tries(job, nowAt) },
    { title: 'Last reply or reason', cell: (job) => html`<span class="reply">${job.reason ?? job.lastReply}</span>` },
    ...(options.message === true ? [{ title: 'Message', cell: (job: JobView) => messageLink(job.id) }] : []),
  ]
  return dataTable(caption, columns, jobs)
}

export function messageLink(id: string): Html {
  return html`<a class="id" href="/messages/${id}">${id}</a>`
}

function queueLink(job: JobView): Html {
  return html`<a href="/queues/${job.queue}">${job.queue}</a>`
}

function tries({ attempts, nextAt }: JobView, nowAt: number): Html {
  return html`${attempts}${nextAt !== undefined && html` <small class="below">next ${ahead(nextAt, nowAt)}</small>`}`
}

const shownRecipients = 3

function recipients(job: JobView): Html {
  const rest = job.to.length - shownRecipients
  return html`${job.to.slice(0, shownRecipients).map((to) => html`<span class="address">${to}</span> `)}${rest > 0 && html`<a href="/messages/${job.id}">and ${rest} more</a>`}`
}
