import type { DayCount } from '../../../shared/received-reports/dmarc-summary.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'

const width = 720
const height = 120

/**
 * A bar for each day, what failed on top of what passed; made here, so that it needs no script.
 * @param nouns what is counted: `messages`
 */
export function dayChart(days: readonly DayCount[], nouns: string): Html {
  const most = Math.max(1, ...days.map(({ passed, failed }) => passed + failed))
  const passed = days.reduce((sum, day) => sum + day.passed, 0)
  const failed = days.reduce((sum, day) => sum + day.failed, 0)
  const step = width / days.length
  const bar = Math.max(1, Math.min(48, step * 0.8))
  const label = `${nouns} by day: ${passed} passed, ${failed} failed, at most ${most} on a day`
  return html`<figure class="chart">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}">
<path class="base" d="M0 ${height}H${width}"/>
${days.map((day, index) => bars(day, { x: round(index * step + (step - bar) / 2), bar: round(bar), most }))}
</svg>
<figcaption><span>${days[0]?.day}</span><span class="legend"><span data-tone="good">passed</span> <span data-tone="bad">failed</span> · at most ${most} ${nouns} a day</span><span>${days.at(-1)?.day}</span></figcaption>
</figure>`
}

function bars(
  { day, passed, failed }: DayCount,
  { x, bar, most }: { readonly x: number; readonly bar: number; readonly most: number },
): Html | undefined {
  if (passed + failed === 0) return undefined
  const well = heightOf(passed, most)
  const badly = heightOf(failed, most)
  return html`<g><title>${day}: ${passed} passed, ${failed} failed</title><rect class="good" x="${x}" y="${round(height - well)}" width="${bar}" height="${well}"/><rect class="bad" x="${x}" y="${round(height - well - badly)}" width="${bar}" height="${badly}"/></g>
`
}

/** What there is can be seen, however little it is. */
function heightOf(count: number, most: number): number {
  return count === 0 ? 0 : round(Math.max(1.5, (count / most) * (height - 4)))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
