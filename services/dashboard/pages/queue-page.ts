import type { QueueFlow } from '../../../shared/report/flow.ts'
import { defaultTargetMs, troubleOf } from '../../../shared/report/queue-health.ts'
import type { QueueShares, TagShare } from '../../../shared/report/queue-shares.ts'
import { formatDuration, formatRate, plural } from '../../../shared/report/units.ts'
import type { JobState, QueueView, Seen } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { describeLimit } from '../../../shared/operate/queue-limits.ts'
import type { JobQuestion, Overview, QueueDetail } from '../source.ts'
import type { Visitor } from '../visitor.ts'
import { doneNotice, limitText, pauseButton, queueActionBar } from './action-bar.ts'
import { searchLink } from './found-table.ts'
import { jobTable } from './job-table.ts'
import type { Page } from './layout.ts'
import { badge, dataTable, notice, redisAway } from './parts.ts'
import { toneOf, workers } from './pipeline-drawing.ts'
import { rateChart } from './rate-chart.ts'

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
  const main = html`<div class="headline"><h1>Queue ${name} ${view && stateOf(view, detail.targetMs)}</h1>
<p class="quiet-text">${view && waitText(view)} ${limitText(view?.limit)}</p></div>
${queue.kind === 'away' && redisAway(queue.reason)}
${view && troubleNotice(view, detail.flow, detail.targetMs)}
${doneNotice(look.done)}
${figures(detail)}
${queueActionBar(name, view, look.visitor)}
<nav class="tabs" aria-label="States">${tab(name, undefined, question, view)}${jobStates.map((state) => tab(name, state, question, view))}</nav>
${jobsOf(name, jobs, question, at)}`
  return { title: `Queue ${name}`, section: '/queues', at, main }
}

function waitText({ oldestAgeMs, delayed, held, heldAtLeast }: QueueView): string {
  const due =
    oldestAgeMs === undefined ? 'Nothing is due' : `The oldest has been due for ${formatDuration(oldestAgeMs)}`
  const later = delayed > 0 && `${plural(delayed, 'message waits', 'messages wait')} for the next attempt`
  const kept = held > 0 && `${held}${heldAtLeast === true ? '+' : ''} held`
  return `${[due, later, kept].filter((part) => part !== false).join('; ')}.`
}

/** How mail moves through it; nothing while no process tells. */
function figures({ flow, targetMs }: QueueDetail): HtmlValue {
  if (flow === undefined) return undefined
  const { inPerSecond, outPerSecond, p95Ms, processes } = flow
  const told: readonly (readonly [string, HtmlValue])[] = [
    ['in, last minute', formatRate(inPerSecond)],
    ['out, last minute', formatRate(outPerSecond)],
    ['95 % within', p95Ms === undefined ? '–' : formatDuration(p95Ms)],
    ['workers busy', workers(flow)],
    ['in processes', processes],
    ['target', formatDuration(targetMs)],
  ]
  return html`<section class="figures" aria-label="Flow"><dl class="counts">${told.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>${rateChart(flow.incoming)}<p class="quiet-text">What came in over ten minutes</p></section>`
}

export interface QueuesLook {
  readonly shares: Seen<QueueShares>
  readonly visitor: Visitor
}

/** All queues in one table, and whose messages wait in them. */
export function queuesPage(overview: Overview, { shares, visitor }: QueuesLook): Page {
  const { queues, at } = overview
  const main = html`<div class="headline"><h1>Queues</h1></div>
${
  queues.kind === 'away'
    ? redisAway(queues.reason)
    : html`${troubleNotices(overview)}
<section aria-label="Queues">${queuesTable(queues.value, overview, { shares, visitor })}</section>
<section aria-labelledby="tags"><h2 id="tags">By tag</h2>${tagsTable(shares)}</section>`
}`
  return { title: 'Queues', section: '/queues', at, main }
}

/** What is behind, why, and what to type. */
export function troubleNotices({ queues, flows, targetsMs }: Overview): HtmlValue {
  if (queues.kind === 'away') return undefined
  return queues.value.map((queue) =>
    troubleNotice(queue, flows.get(queue.name), targetsMs.get(queue.name) ?? defaultTargetMs),
  )
}

function troubleNotice(queue: QueueView, flow: QueueFlow | undefined, targetMs: number): HtmlValue {
  const trouble = troubleOf(queue, flow, targetMs)
  if (trouble === undefined) return undefined
  const { title, text, commands } = trouble
  return notice('bad', title, html`${text}${commands.map((one) => html`<code class="as-written">${one}</code>`)}`)
}

function queuesTable(
  queues: readonly QueueView[],
  { flows, targetsMs }: Overview,
  { shares, visitor }: QueuesLook,
): Html {
  const parked = shares.kind === 'seen' ? shares.value.parked : undefined
  const flowOf = (queue: QueueView): QueueFlow | undefined => flows.get(queue.name)
  const targetOf = ({ name }: QueueView): number => targetsMs.get(name) ?? defaultTargetMs
  return dataTable<QueueView>(
    'Queues',
    [
      { title: 'Queue', cell: (queue) => html`<a href="/queues/${queue.name}"><strong>${queue.name}</strong></a>` },
      { title: 'State', cell: (queue) => stateOf(queue, targetOf(queue)) },
      { title: 'In', numeric: true, cell: (queue) => rate(flowOf(queue)?.inPerSecond) },
      { title: 'Out', numeric: true, cell: (queue) => rate(flowOf(queue)?.outPerSecond) },
      { title: 'Waiting', numeric: true, cell: (queue) => queue.waiting },
      { title: 'Active', numeric: true, cell: (queue) => queue.active },
      { title: 'Delayed', numeric: true, cell: (queue) => queue.delayed },
      {
        title: 'Parked',
        numeric: true,
        cell: (queue) => (parked === undefined ? '–' : Math.min(parked.get(queue.name) ?? 0, queue.delayed)),
      },
      { title: 'Held', numeric: true, cell: (queue) => html`${queue.held}${queue.heldAtLeast === true && '+'}` },
      {
        title: 'Oldest',
        numeric: true,
        cell: (queue) => (queue.oldestAgeMs === undefined ? '–' : formatDuration(queue.oldestAgeMs)),
      },
      {
        title: '95 % within',
        numeric: true,
        cell: (queue) => {
          const p95Ms = flowOf(queue)?.p95Ms
          return p95Ms === undefined ? '–' : formatDuration(p95Ms)
        },
      },
      {
        title: 'Workers',
        numeric: true,
        cell: (queue) => {
          const flow = flowOf(queue)
          return flow === undefined ? '–' : `${flow.busy} of ${flow.handlers}`
        },
      },
      ...(visitor.acts ? [{ title: 'Action', cell: (queue: QueueView) => pauseButton(queue, visitor) }] : []),
    ],
    queues,
  )
}

function rate(perSecond: number | undefined): string {
  return perSecond === undefined ? '–' : formatRate(perSecond)
}

function tagsTable(shares: Seen<QueueShares>): HtmlValue {
  if (shares.kind === 'away') return html`<p class="empty">Unknown while Redis is away.</p>`
  const { tags, cut } = shares.value
  if (tags.length === 0) return html`<p class="empty">Nothing waits.</p>`
  const table = dataTable<TagShare>(
    'Messages in all queues by their tags',
    [
      {
        title: 'Tag',
        cell: ({ tag }) =>
          tag === undefined
            ? html`<span class="quiet-text">none yet</span>`
            : html`<a href="/tags/${encodeURIComponent(tag)}">${tag}</a>`,
      },
      ...jobStates.map((state) => ({
        title: `${state.slice(0, 1).toUpperCase()}${state.slice(1)}`,
        numeric: true,
        cell: (share: TagShare) => share[state],
      })),
    ],
    tags,
  )
  return html`${table}${cut && html`<p class="quiet-text">There is more mail than was looked at: the numbers are of the first messages of each state.</p>`}`
}

function stateOf(queue: QueueView, targetMs: number): Html {
  if (queue.limit === undefined || queue.paused) return workState(queue, targetMs)
  return html`${workState(queue, targetMs)} ${badge('waiting', describeLimit(queue.limit))}`
}

function workState(queue: QueueView, targetMs: number): Html {
  if (queue.paused) return badge('waiting', 'paused')
  const words = { good: 'working', waiting: queue.delayed > 0 ? 'delayed' : 'held mail', bad: 'late', plain: 'idle' }
  const tone = toneOf(queue, targetMs)
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
<p class="quiet-text"><a href="${searchLink('/messages/actions', searchFor(name, question))}">Do something to all of them…</a></p>
<nav class="pages" aria-label="Further messages">${question.start > 0 && html`<a rel="prev" href="${pageLink(name, question, Math.max(0, question.start - question.limit))}">Previous page</a>`}
${jobs.value.length >= question.limit && html`<a rel="next" href="${pageLink(name, question, question.start + question.limit)}">Next page</a>`}</nav>`
}

/** In the words of the search language. */
function searchFor(name: string, { state }: JobQuestion): string {
  const states = { waiting: 'queued', active: 'queued', delayed: 'delayed', held: 'held' } as const
  return `queue:${name} status:${state === undefined ? 'open' : states[state]}`
}

function pageLink(name: string, question: JobQuestion, start: number): string {
  const state = question.state === undefined ? '' : `state=${question.state}&`
  return `/queues/${name}?${state}start=${start}`
}
