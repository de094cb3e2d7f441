import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { formatDuration, formatSecond, formatSize } from '../../../shared/report/units.ts'
import type { CopyState } from '../../../shared/store/copy-state.ts'
import type { FoundCopy, FoundMessage } from '../../../shared/store/found-message.ts'
import { messageLink } from './job-table.ts'
import { badge, dataTable } from './parts.ts'
import type { Tone } from './parts.ts'

/** Messages as a search finds them: when, from whom to whom, what became of them. */
export function foundTable(caption: string, messages: readonly FoundMessage[], at: number): Html {
  return dataTable(
    caption,
    [
      { title: 'Time', cell: (message) => time(message.at, at) },
      { title: 'From', cell: ({ from }) => html`<span class="address">${from === null ? '<>' : (from ?? '?')}</span>` },
      { title: 'To', cell: recipients },
      { title: 'State', cell: ({ copies: [copy] }) => copy && badge(stateTones[copy.state], copy.state) },
      { title: 'Said last', cell: ({ copies: [copy] }) => html`<span class="reply">${said(copy)}</span>` },
      ...(messages.some(({ subject }) => subject !== undefined)
        ? [{ title: 'Subject', cell: ({ subject }: FoundMessage) => subject }]
        : []),
      {
        title: 'Size',
        numeric: true,
        cell: ({ sizeBytes }) => (sizeBytes === undefined ? '' : formatSize(sizeBytes)),
      },
      ...(messages.some(({ host }) => host !== undefined)
        ? [{ title: 'Host', cell: ({ host }: FoundMessage): HtmlValue => host }]
        : []),
      { title: 'Message', cell: ({ id }) => messageLink(id) },
    ],
    messages,
  )
}

/** A page about a search: `/messages?q=...`. */
export function searchLink(path: string, query: string, before?: string): string {
  const asked = new URLSearchParams({ q: query, ...(before === undefined ? {} : { before }) })
  return `${path}?${asked.toString()}`
}

function time(at: number, nowAt: number): Html {
  const since = `${formatDuration(Math.max(0, nowAt - at))} ago`
  return html`<time class="whole" datetime="${new Date(at).toISOString()}" title="${since}">${formatSecond(at).slice(0, -1)}</time>`
}

function recipients({ copies: [copy], copyCount }: FoundMessage): HtmlValue {
  if (copy === undefined) return '?'
  return html`<span class="address">${copy.mailbox ?? '?'}</span>${copyCount > 1 && html` and ${copyCount - 1} more`}`
}

function said(copy: FoundCopy | undefined): string {
  return copy?.remote ?? (copy?.queue === undefined ? '' : `in queue ${copy.queue}`)
}

export const stateTones = {
  queued: 'plain',
  delayed: 'waiting',
  held: 'bad',
  delivered: 'good',
  relayed: 'good',
  failed: 'bad',
  discarded: 'bad',
  removed: 'bad',
  refused: 'bad',
} as const satisfies Record<CopyState, Tone>
