import { formatDuration } from '../../../shared/report/units.ts'
import type { JobState, QueueView, Seen } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { JobQuestion, QueueDetail } from '../source.ts'
import type { Visitor } from '../visitor.ts'
import { doneNotice, queueActionBar } from './action-bar.ts'
import { jobTable } from './job-table.ts'
import type { Page } from './layout.ts'
import { badge, dataTable, notice } from './parts.ts'
import { toneOf } from './pipeline-drawing.ts'

export const jobStates: readonly JobState[] = ['waiting', 'active', 'delayed', 'held']

export interface QueueLook {
  readonly visitor: Visitor
  /** The action that led here. */
  readonly done?: string | undefined
}

/** One queue and a page of its jobs. */
export function queuePage(name: string, detail: QueueDetail, look: QueueLook): Page {
  const { queue, jobs, question, at } = detail
  const view = queue.kind === 'seen' ? queue.value : undefined
  const main = html`<div class="headline"><h1>Queue ${name}${view?.paused === true && html` ${badge('waiting', 'paused')}`}</h1>
<p class="quiet-text">${view?.oldestAgeMs === undefined ? 'Nothing waits.' : `The oldest has waited for ${formatDuration(view.oldestAgeMs)}.`}</p></div>
${queue.kind === 'away' && notice('bad', 'Redis is away.', queue.reason)}
${doneNotice(look.done)}
${queueActionBar(name, view, look.visitor)}
<nav class="tabs" aria-label="States">${tab(name, undefined, question, view)}${jobStates.map((state) => tab(name, state, question, view))}</nav>
${jobsOf(name, jobs, question, at)}`
  return { title: `Queue ${name}`, section: '/queues', at, main }
}

/** All queues in one table. */
export function queuesPage(queues: Seen<readonly QueueView[]>, at: number): Page {
  const main = html`<div class="headline"><h1>Queues</h1></div>${queues.kind === 'away' ? notice('bad', 'Redis is away.', queues.reason) : queuesTable(queues.value)}`
  return { title: 'Queues', section: '/queues', at, main }
}

function queuesTable(queues: readonly QueueView[]): Html {
  return dataTable(
    'Queues',
    [
      { title: 'Queue', cell: (queue) => html`<a href="/queues/${queue.name}"><strong>${queue.name}</strong></a>` },
      { title: 'State', cell: stateOf },
      { title: 'Waiting', numeric: true, cell: (queue) => queue.waiting },
      { title: 'Active', numeric: true, cell: (queue) => queue.active },
      { title: 'Delayed', numeric: true, cell: (queue) => queue.delayed },
      { title: 'Held', numeric: true, cell: (queue) => queue.held },
      {
        title: 'Oldest',
        numeric: true,
        cell: (queue) => (queue.oldestAgeMs === undefined ? '–' : formatDuration(queue.oldestAgeMs)),
      },
    ],
    queues,
  )
}

function stateOf(queue: QueueView): Html {
  if (queue.paused) return badge('waiting', 'paused')
  const words = { good: 'working', waiting: 'delayed', bad: 'held mail', plain: 'idle' } as const
  const tone = toneOf(queue)
  return badge(tone, words[tone])
}

function tab(name: string, state: JobState | undefined, question: JobQuestion, view: QueueView | undefined): Html {
  const current = question.state === state && html` aria-current="page"`
  const count = view === undefined ? undefined : state === undefined ? total(view) : view[state]
  const query = state === undefined ? '' : `?state=${state}`
  return html`<a href="/queues/${name}${query}"${current}>${state ?? 'all'}${count !== undefined && html` <span class="num">${count}</span>`}</a>`
}

function total(view: QueueView): number {
  return view.waiting + view.active + view.delayed + view.held
}

function jobsOf(name: string, jobs: QueueDetail['jobs'], question: JobQuestion, at: number): HtmlValue {
  if (jobs.kind === 'away') return html`<p class="empty">Unknown while Redis is away.</p>`
  if (jobs.value.length === 0) return html`<p class="empty">No messages here.</p>`
  return html`${jobTable(`Messages in queue ${name}`, jobs.value, at, { message: true })}
<nav class="pages" aria-label="Further messages">${question.start > 0 && html`<a rel="prev" href="${pageLink(name, question, Math.max(0, question.start - question.limit))}">Previous page</a>`}
${jobs.value.length >= question.limit && html`<a rel="next" href="${pageLink(name, question, question.start + question.limit)}">Next page</a>`}</nav>`
}

function pageLink(name: string, question: JobQuestion, start: number): string {
  const state = question.state === undefined ? '' : `state=${question.state}&`
  return `/queues/${name}?${state}start=${start}`
}
