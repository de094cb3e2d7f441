import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'

const width = 720
const height = 120

/** One span of time. */
export interface MixStep {
  /** `14:00`, `2026-11-21` */
  readonly name: string
  readonly counts: Readonly<Record<string, number>>
}

/** What stands in a bar from its foot on; the class gives the colour. */
export interface MixSeries {
  readonly name: string
  readonly colour: 'good' | 'waiting' | 'held' | 'bad' | 'gone'
}

/**
 * A bar for each step of time, what came of it in layers; made here, so that it needs no script. The numbers stand below as a table.
 * @param nouns what is counted: `messages`
 */
export function mixChart(steps: readonly MixStep[], series: readonly MixSeries[], nouns: string): Html {
  const of = (step: MixStep, name: string): number => step.counts[name] ?? 0
  const sum = (step: MixStep): number => series.reduce((total, { name }) => total + of(step, name), 0)
  const most = Math.max(1, ...steps.map(sum))
  const totals = series.map(({ name, colour }) => ({
    name,
    colour,
    total: steps.reduce((total, step) => total + of(step, name), 0),
  }))
  const told = totals.filter(({ total }) => total > 0)
  const said = told.map(({ name, total }) => `${total} ${name}`).join(', ')
  const label = `${nouns} over time: ${said === '' ? 'none' : said}, at most ${most} at a time`
  const slot = width / steps.length
  const bar = round(Math.max(1, Math.min(48, slot * 0.8)))
  return html`<figure class="chart">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}">
<path class="base" d="M0 ${height}H${width}"/>
${steps.map((step, index) => layers(step, series, { x: round(index * slot + (slot - bar) / 2), bar, most }))}
</svg>
<figcaption><span>${steps[0]?.name}</span><span class="legend">${told.map(({ name, colour, total }) => html`<span data-colour="${colour}">${name} ${total.toLocaleString('en')}</span> `)}· at most ${most.toLocaleString('en')} ${nouns} at a time</span><span>${steps.at(-1)?.name}</span></figcaption>
</figure>`
}

function layers(
  { name, counts }: MixStep,
  series: readonly MixSeries[],
  { x, bar, most }: { readonly x: number; readonly bar: number; readonly most: number },
): Html | undefined {
  const there = series.filter((one) => (counts[one.name] ?? 0) > 0)
  if (there.length === 0) return undefined
  const title = `${name}: ${there.map((one) => `${counts[one.name] ?? 0} ${one.name}`).join(', ')}`
  let foot = height
  return html`<g><title>${title}</title>${there.map((one) => {
    const tall = round(Math.max(1.5, ((counts[one.name] ?? 0) / most) * (height - 6)))
    foot = round(foot - tall)
    return html`<rect class="${one.colour}" x="${x}" y="${foot}" width="${bar}" height="${tall}"/>`
  })}</g>
`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
