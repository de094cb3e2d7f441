import type { DayCount } from '../../../shared/received-reports/dmarc-summary.ts'
import type { Html } from '../../../shared/html.ts'
import { stackedBars } from './stacked-bars.ts'

/**
 * A bar for each day, what failed on top of what passed.
 * @param nouns what is counted: `messages`
 */
export function dayChart(days: readonly DayCount[], nouns: string): Html {
  const bars = days.map(({ day, passed, failed }) => ({ title: day, counts: [passed, failed] }))
  return stackedBars(bars, {
    parts: [
      { tone: 'good', name: 'passed' },
      { tone: 'bad', name: 'failed' },
    ],
    about: `${nouns} by day`,
    most: (most) => `at most ${most} ${nouns} a day`,
  })
}
