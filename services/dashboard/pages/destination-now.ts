import type { LaneSettings, Rate } from '../../../shared/config/model.ts'
import { hourMs } from '../../../shared/destinations/known.ts'
import type { DestinationView } from '../../../shared/report/destinations.ts'
import { formatDuration, plural } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { DestinationDetail } from '../source.ts'
import { ahead } from './parts.ts'
import { termLink } from './term-link.ts'

/** What waits for one destination, when it is tried again, and how much mail it is given. */
export function destinationNow({ name, view, settings }: DestinationDetail, at: number): Html {
  const facts: readonly (readonly [string, HtmlValue])[] = [
    ['In the queue', inQueue(view, at)],
    ['Next attempt', view?.nextAt !== undefined && html`${ahead(view.nextAt, at)}, try ${view.attempts + 1}`],
    [
      'Left alone',
      view?.aloneForMs !== undefined &&
        `for ${formatDuration(view.aloneForMs)}: it asked for less, or could not be reached; "Try now" does not wait for it`,
    ],
    ['Lane', view?.lane !== undefined && `${view.lane}, shared with all domains that have the same mail servers`],
    ['This hour', thisHour(view, at)],
    ['At most', atMost(settings)],
    ['All its messages', /^[\w.-]+$/.test(name) && termLink('domain', name)],
  ]
  return html`<section aria-labelledby="now"><h2 id="now">Now</h2><dl class="facts">${facts.map(([title, value]) => value !== false && value !== undefined && html`<div><dt>${title}</dt><dd>${value}</dd></div>`)}</dl></section>`
}

function inQueue(view: DestinationView | undefined, at: number): string {
  if (view === undefined || view.waiting + view.active + view.delayed === 0) return 'nothing'
  const { waiting, active, delayed, oldestAt } = view
  const since = oldestAt === undefined ? '' : `; the oldest came ${formatDuration(Math.max(0, at - oldestAt))} ago`
  return `${waiting} waiting, ${active} at work, ${delayed} delayed${since}`
}

function thisHour(view: DestinationView | undefined, at: number): string {
  const hour = view?.history?.hours.find((one) => one.at === at - (at % hourMs))
  if (hour === undefined) return 'no attempt'
  return `${plural(hour.sent, 'copy', 'copies')} sent, ${hour.later} put off, ${hour.refused} refused`
}

/** `lane` of pipeline.conf. */
function atMost({ concurrency, messages, recipients, backOff }: LaneSettings): string {
  const parts = [
    concurrency !== undefined && `${concurrency} at a time`,
    messages !== undefined && rateText(messages, 'messages'),
    recipients !== undefined && rateText(recipients, 'recipients'),
  ].filter((part) => part !== false)
  const limits = parts.length === 0 ? 'as much as it takes' : parts.join(', ')
  if (backOff === undefined || backOff === 'off') return limits
  return `${limits}; when it asks for less it is left alone for ${formatDuration(backOff.firstMs)} to ${formatDuration(backOff.longestMs)}`
}

function rateText({ count, periodMs }: Rate, nouns: string): string {
  return `${count} ${nouns} in ${formatDuration(periodMs)}`
}
