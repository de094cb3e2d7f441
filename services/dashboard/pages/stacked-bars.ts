import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'

const width = 720
const height = 120

export interface BarPart {
  readonly tone: 'good' | 'waiting' | 'bad'
  /** What is counted in it: `passed`. */
  readonly name: string
}

export interface Bar {
  /** What it is for: `2026-11-21`. */
  readonly title: string
  /** As many as there are parts. */
  readonly counts: readonly number[]
}

export interface BarsLook {
  readonly parts: readonly BarPart[]
  /** Read aloud in place of the picture, before the sums: `messages by day`. */
  readonly about: string
  /** Behind the legend: `at most 12 messages a day`. */
  readonly most: (most: number) => string
}

/** Bars one beside the other, each with its parts on top of each other; made here, so that it needs no script. */
export function stackedBars(bars: readonly Bar[], { parts, about, most: mostText }: BarsLook): Html {
  const sums = parts.map((_part, index) => bars.reduce((sum, { counts }) => sum + (counts[index] ?? 0), 0))
  const most = Math.max(1, ...bars.map(({ counts }) => counts.reduce((sum, count) => sum + count, 0)))
  const step = width / Math.max(1, bars.length)
  const bar = Math.max(1, Math.min(48, step * 0.8))
  const told = parts.map(({ name }, index) => `${sums[index]} ${name}`).join(', ')
  return html`<figure class="chart">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${about}: ${told}, ${mostText(most)}">
<path class="base" d="M0 ${height}H${width}"/>
${bars.map((one, index) => oneBar(one, { parts, x: round(index * step + (step - bar) / 2), bar: round(bar), most }))}
</svg>
<figcaption><span>${bars[0]?.title}</span><span class="legend">${parts.map(({ tone, name }) => html`<span data-tone="${tone}">${name}</span> `)}· ${mostText(most)}</span><span>${bars.at(-1)?.title}</span></figcaption>
</figure>`
}

interface Place {
  readonly parts: readonly BarPart[]
  readonly x: number
  readonly bar: number
  readonly most: number
}

function oneBar({ title, counts }: Bar, { parts, x, bar, most }: Place): Html | undefined {
  if (counts.every((count) => count === 0)) return undefined
  const told = parts.map(({ name }, index) => `${counts[index]} ${name}`).join(', ')
  let below = height
  const rects = parts.map(({ tone }, index) => {
    const high = heightOf(counts[index] ?? 0, most)
    below = round(below - high)
    return html`<rect class="${tone}" x="${x}" y="${below}" width="${bar}" height="${high}"/>`
  })
  return html`<g><title>${title}: ${told}</title>${rects}</g>
`
}

/** What there is can be seen, however little it is. */
function heightOf(count: number, most: number): number {
  return count === 0 ? 0 : round(Math.max(1.5, (count / most) * (height - 4)))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
