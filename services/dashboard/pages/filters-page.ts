import type { EngineView, FiltersView } from '../../../shared/filter-tally/view.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { formatMs } from './format-ms.ts'
import type { Page } from './layout.ts'
import { mixChart } from './mix-chart.ts'
import type { MixSeries, MixStep } from './mix-chart.ts'
import { ago, badge, dataTable } from './parts.ts'
import type { Tone } from './parts.ts'
import { timeChart } from './time-chart.ts'

/** Of so many days the page tells. */
export const filterDays = [1, 2, 14, 60] as const

/** How the engines of the filter are, how long they take, and what comes of mail. */
export function filtersPage(view: FiltersView, days: number): Page {
  const { at, engines, findings } = view
  const failing = engines.filter(({ health }) => health === 'failing').length
  const main = html`<div class="headline"><h1>${failing === 0 ? 'Filters' : `${failing} of ${engines.length} filters give no answer`}</h1>
<p class="quiet-text">What looks at mail, by all processes together; times are UTC.</p></div>
${tabs(days)}
<section aria-labelledby="mix"><h2 id="mix">What became of mail</h2>${mix(view)}</section>
<section aria-labelledby="engines"><h2 id="engines">Each filter</h2>${engineTable(engines, at)}
<p class="quiet-text">Times are those of one answer: half, 95 and 99 of 100 came within them. The bars are classes of time from 1 ms to a minute.</p></section>
${findings.length > 0 && html`<section aria-labelledby="proofs"><h2 id="proofs">Proofs of the sender</h2>${findingsTable(findings)}</section>`}`
  return { title: 'Filters', section: '/filters', at, main }
}

const dayWords: Readonly<Record<(typeof filterDays)[number], string>> = {
  1: '24 hours',
  2: '2 days',
  14: '14 days',
  60: '60 days',
}

function tabs(days: number): Html {
  return html`<nav class="tabs" aria-label="Time">${filterDays.map(
    (one) => html`<a href="/filters?days=${one}"${one === days && html` aria-current="true"`}>${dayWords[one]}</a> `,
  )}</nav>`
}

const verdicts: readonly MixSeries[] = [
  { name: 'clean', colour: 'good' },
  { name: 'junk', colour: 'waiting' },
  { name: 'quarantine', colour: 'held' },
  { name: 'reject', colour: 'bad' },
  { name: 'discard', colour: 'gone' },
]

function mix({ mix: all, sinceAt, at }: FiltersView): Html {
  const byHour = all.length < 2 || (all[1]?.at ?? 0) - (all[0]?.at ?? 0) < 86_400_000
  const name = (instant: number): string => new Date(instant).toISOString().slice(...(byHour ? [5, 16] : [0, 10]))
  const steps: readonly MixStep[] = all.map((one) => ({
    name: name(one.at).replace('T', ' '),
    counts: one.verdicts,
  }))
  const busy = steps.filter(({ counts }) => Object.keys(counts).length > 0)
  if (busy.length === 0)
    return html`<p class="empty">No mail went through the filter since ${name(sinceAt).replace('T', ' ')}.</p>`
  return html`${mixChart(steps, verdicts, 'messages')}
<details class="words"><summary>As numbers</summary>${dataTable(
    `What became of mail up to ${name(at)}`,
    [
      { title: 'From', cell: (step: MixStep) => html`<span class="whole">${step.name}</span>` },
      ...verdicts.map((one) => ({
        title: one.name,
        numeric: true,
        cell: ({ counts }: MixStep) => html`${(counts[one.name] ?? 0).toLocaleString('en')}`,
      })),
    ],
    busy,
  )}</details>`
}

const healthWords: Readonly<Record<EngineView['health'], readonly [tone: Tone, word: string]>> = {
  good: ['good', 'answers'],
  failing: ['bad', 'no answer'],
  silent: ['plain', 'not asked'],
}

function engineTable(engines: FiltersView['engines'], nowAt: number): Html {
  const share = (name: 'p50' | 'p95' | 'p99') => (engine: EngineView) =>
    html`${engine.percentiles === undefined ? '–' : formatMs(engine.percentiles[name])}`
  return dataTable(
    'Filters, and how they answer',
    [
      {
        title: 'Filter',
        cell: ({ name, what }) =>
          html`<strong>${name}</strong> <small class="below">${what ?? 'not in the configuration any more'}</small>`,
      },
      { title: 'State', cell: ({ health }) => badge(...healthWords[health]) },
      { title: 'Asked', numeric: true, cell: ({ answers }) => html`${answers.toLocaleString('en')}` },
      { title: 'No answer', numeric: true, cell: failures },
      { title: '50 %', numeric: true, cell: share('p50') },
      { title: '95 %', numeric: true, cell: share('p95') },
      { title: '99 %', numeric: true, cell: share('p99') },
      { title: 'Times', cell: ({ answers, buckets }) => (answers === 0 ? undefined : timeChart(buckets)) },
      { title: 'Last', cell: (engine) => lastAnswer(engine, nowAt) },
    ],
    engines,
  )
}

function failures({ failures: all }: EngineView): Html {
  const told = Object.entries(all)
  const total = told.reduce((sum, [, count]) => sum + count, 0)
  const words = told.map(([status, count]) => `${count} ${status === 'timeout' ? 'too late' : status}`).join(', ')
  return html`${total.toLocaleString('en')}${total > 0 && html` <small class="below">${words}</small>`}`
}

function lastAnswer({ last: { okAt, failedAt, reason } }: EngineView, nowAt: number): HtmlValue {
  if (okAt === undefined && failedAt === undefined) return undefined
  return html`${okAt !== undefined && html`answer ${ago(okAt, nowAt)} ago`}
${failedAt !== undefined && html`<span class="below">none ${ago(failedAt, nowAt)} ago: <span class="reply">${reason}</span></span>`}`
}

function findingsTable(findings: FiltersView['findings']): Html {
  const tones: Readonly<Record<string, Tone>> = {
    pass: 'good',
    fail: 'bad',
    temperror: 'waiting',
    permerror: 'waiting',
  }
  return dataTable(
    'Results of SPF, DKIM, DMARC and ARC',
    [
      { title: 'Method', cell: ({ method }) => html`<strong>${method.toUpperCase()}</strong>` },
      {
        title: 'Results',
        cell: ({ results }) =>
          Object.entries(results)
            .toSorted(([, one], [, other]) => other - one)
            .map(
              ([result, count]) => html`${badge(tones[result] ?? 'plain', `${result} ${count.toLocaleString('en')}`)} `,
            ),
      },
    ],
    findings,
  )
}
