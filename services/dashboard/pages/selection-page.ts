import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { ManyAction, ManyCount } from '../../../shared/operate/many.ts'
import { plural } from '../../../shared/report/units.ts'
import type { Seen } from '../../../shared/report/views.ts'
import type { Visitor } from '../visitor.ts'
import { doneNotice } from './action-bar.ts'
import type { Page } from './layout.ts'
import { dataTable, formTokenField, redisAway } from './parts.ts'
import { wayFields } from './way-fields.ts'

type Counts = Readonly<Record<ManyAction | 'reroute', ManyCount>>

export interface SelectionLook {
  /** Path of the page. */
  readonly path: string
  /** `Destination example.org`. */
  readonly title: string
  readonly counts: Seen<Counts>
  readonly actions: readonly string[]
  /** What is known of it. */
  readonly about?: Html
  readonly visitor: Visitor
  /** The action that led here. */
  readonly done?: string | undefined
}

interface Row {
  readonly action: ManyAction
  readonly does: string
  readonly label: string
  readonly tone?: 'bad'
}

const rows: readonly Row[] = [
  { action: 'schedule', does: 'Tries it now', label: 'Try now' },
  { action: 'hold', does: 'Holds it', label: 'Hold' },
  { action: 'release', does: 'Releases it', label: 'Release' },
  { action: 'expire', does: 'Returns it to its senders', label: 'Return to senders', tone: 'bad' },
  { action: 'remove', does: 'Drops it for good, unreported', label: 'Remove', tone: 'bad' },
]

/** What can be done to all mail of a destination or tag, and to how much of it. */
export function selectionPage(look: SelectionLook, at: number): Page {
  const { title, counts, done } = look
  const main = html`<div class="headline"><h1>${title}</h1></div>
${doneNotice(done)}
${counts.kind === 'away' && redisAway(counts.reason, 'What waits is not known, and nothing can be done to it.')}
${look.about}
${counts.kind === 'seen' && forms(look, counts.value)}`
  return { title, section: '/destinations', at, main, still: true }
}

function forms(look: SelectionLook, counts: Counts): Html {
  const { path, visitor } = look
  return html`<section aria-labelledby="all"><h2 id="all">Do to all its mail in the queues</h2>
${table(look, counts)}</section>
<section aria-labelledby="reroute"><h2 id="reroute">Relay it by way of another host</h2>
<p>This will reroute ${tell(counts.reroute)}, those a worker has at this moment from their next attempt on.</p>
${visitor.acts && counts.reroute.jobs > 0 && html`<form class="ask" action="${path}/reroute" method="post">${formTokenField(visitor)}${wayFields(look.actions)}<button class="primary">Reroute</button></form>`}</section>
<p class="quiet-text">Counted a moment ago. What a filter keeps back is not among it.</p>`
}

function tell({ jobs, messages }: ManyCount): string {
  if (jobs === 0) return 'nothing'
  return jobs === messages ? plural(messages, 'message') : `${plural(messages, 'message')}, ${plural(jobs, 'job')}`
}

function table(look: SelectionLook, counts: Counts): Html {
  return dataTable<Row>(
    'What can be done, and to how much mail',
    [
      { title: 'What it does', cell: ({ does }) => does },
      { title: 'To how much', cell: ({ action }) => tell(counts[action]) },
      { title: 'Do it', cell: (row) => form(look, counts, row) },
    ],
    rows,
  )
}

function form({ path, visitor }: SelectionLook, counts: Counts, { action, label, tone }: Row): HtmlValue {
  if (!visitor.acts || counts[action].jobs === 0) return undefined
  return html`<form action="${path}/${action}" method="post">${formTokenField(visitor)}<button${tone !== undefined && html` data-tone="${tone}"`}>${label}</button></form>`
}
