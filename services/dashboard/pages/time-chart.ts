import { bucketEndsMs } from '../../../shared/filter-tally/tally.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { formatMs } from './format-ms.ts'

const height = 24
const bar = 6
const step = 8

/** How many answers took how long, a bar for each class of time from 1 ms to a minute; its text says where most are. */
export function timeChart(buckets: readonly number[]): Html {
  const most = Math.max(1, ...buckets)
  const [first, last] = [buckets.findIndex((count) => count > 0), buckets.findLastIndex((count) => count > 0)]
  const from = bucketEndsMs[first - 1]
  const to = bucketEndsMs[last]
  const label = `From ${from === undefined ? '0' : formatMs(from)} to ${to === undefined ? 'more than a minute' : formatMs(to)}, most about ${formatMs(bucketEndsMs[buckets.indexOf(most)] ?? 60_000)}`
  return html`<svg class="times" role="img" aria-label="${label}" viewBox="0 0 ${buckets.length * step} ${height}" width="${buckets.length * step}" height="${height}"><title>${label}</title>${buckets.map((count, place) => column(count, most, place))}</svg>`
}

function column(count: number, most: number, place: number): Html {
  const tall = count === 0 ? 0.75 : Math.max(2, Math.round((count / most) * height * 10) / 10)
  return html`<rect${count > 0 && html` class="some"`} x="${place * step}" y="${height - tall}" width="${bar}" height="${tall}"/>`
}
