import type { Seen } from '../../../shared/report/views.ts'
import type { CopyState } from '../../../shared/store/copy-state.ts'
import { hourMs } from '../../../shared/store/hours.ts'
import type { HourCounts } from '../../../shared/store/hours.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { searchLink, stateTones } from './found-table.ts'
import { mixChart } from './mix-chart.ts'
import type { MixSeries, MixStep } from './mix-chart.ts'
import { badge } from './parts.ts'

export type DaySeen = Seen<readonly HourCounts[]> & { readonly sinceAt: number }

const layers: readonly (MixSeries & { readonly states: readonly CopyState[] })[] = [
  { name: 'delivered or relayed', colour: 'good', states: ['delivered', 'relayed'] },
  { name: 'on the way', colour: 'waiting', states: ['queued', 'delayed'] },
  { name: 'held', colour: 'held', states: ['held'] },
  { name: 'failed', colour: 'bad', states: ['failed'] },
  { name: 'refused or dropped', colour: 'gone', states: ['refused', 'discarded', 'removed'] },
]

/** What came in the last 24 hours and what became of it, by the hour; each number leads to its messages. */
export function daySection(seen: DaySeen, at: number): Html {
  return html`<section aria-labelledby="day"><h2 id="day">The last 24 hours</h2>${seen.kind === 'away' ? html`<p class="empty">Not known now: ${seen.reason}.</p>` : dayChart(seen.value, seen.sinceAt, at)}
<p class="quiet-text">Recipients by the hour (UTC) their mail came. <a href="/reports?days=1#users">Who sends, and what bounces</a></p></section>`
}

function dayChart(hours: readonly HourCounts[], sinceAt: number, at: number): Html {
  const totals = Object.keys(stateTones) as readonly CopyState[]
  const count = (state: CopyState): number => hours.reduce((sum, { copies }) => sum + (copies[state] ?? 0), 0)
  const there = totals.filter((state) => count(state) > 0)
  if (there.length === 0) return html`<p class="empty">No mail came.</p>`
  const known = new Map(hours.map((hour) => [hour.at, hour.copies]))
  const steps: MixStep[] = []
  for (let hour = sinceAt; hour <= at; hour += hourMs) {
    const copies = known.get(hour) ?? {}
    const counts = layers.map(({ name, states }) => [name, sumOf(copies, states)] as const)
    steps.push({ name: new Date(hour).toISOString().slice(11, 16), counts: Object.fromEntries(counts) })
  }
  const since = `after:${new Date(sinceAt).toISOString().slice(0, 16)}`
  return html`${mixChart(steps, layers, 'recipients')}
<ul class="states" aria-label="Recipients by what became of their mail">${there.map((state) => html`<li><a href="${searchLink('/messages', `status:${state} ${since}`)}">${badge(stateTones[state], state)} <span class="num">${count(state).toLocaleString('en')}</span></a></li>`)}</ul>`
}

function sumOf(copies: HourCounts['copies'], states: readonly CopyState[]): number {
  return states.reduce((sum, state) => sum + (copies[state] ?? 0), 0)
}
