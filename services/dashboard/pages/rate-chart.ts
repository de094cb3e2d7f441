import { slotMs } from '../../../shared/rate-meter.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { formatDuration, plural } from '../../../shared/report/units.ts'

const height = 20

/** What came in over time, as a small area; its text says the same to those who do not see it. */
export function rateChart(counts: readonly number[]): Html {
  const most = Math.max(1, ...counts)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const span = formatDuration(counts.length * slotMs)
  const label = `In the last ${span} ${plural(total, 'message')} came in${total === 0 ? '' : `, at most ${most} in ${formatDuration(slotMs)}`}`
  const tops = counts.map((count, index) => `L${index} ${round(height - 1 - (count / most) * (height - 2))}`)
  const last = Math.max(0, counts.length - 1)
  return html`<svg class="sparkline" role="img" aria-label="${label}" viewBox="0 0 ${Math.max(1, last)} ${height}" preserveAspectRatio="none"><path class="area" d="M0 ${height}${tops.join('')}L${last} ${height}Z"/><path d="${tops.join('').replace('L', 'M')}"/></svg>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
