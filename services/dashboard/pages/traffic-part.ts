import type { Seen } from '../../../shared/report/views.ts'
import { formatSize } from '../../../shared/report/units.ts'
import type {
  FailureCount,
  HostFailures,
  RecipientDomain,
  SenderCount,
  Traffic,
} from '../../../shared/store/traffic.ts'
import type { UserCount } from '../../../shared/store/users.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { dataTable } from './parts.ts'
import type { Column } from './parts.ts'
import { termLink } from './term-link.ts'

export interface TrafficSeen {
  readonly traffic: Seen<Traffic> & { readonly sinceAt: number }
  readonly recipients: Seen<readonly RecipientDomain[]>
}

/** Of all mail here, whatever the reports say; each name leads to its messages. */
export function trafficPart({ traffic, recipients }: TrafficSeen): Html {
  if (traffic.kind === 'away')
    return html`<section aria-labelledby="bounces"><h2 id="bounces">Bounces and senders</h2><p class="empty">Not known now: ${traffic.reason}.</p></section>`
  const { failures, hosts, senders, users } = traffic.value
  const since = `after:${new Date(traffic.sinceAt).toISOString().slice(0, 10)}`
  return html`<div class="columns">${part('users', 'Who signed in and sent', 'Nobody did.', users, userColumns(since))}
${part('senders', 'Top senders', 'No mail came.', senders, senderColumns(since))}
${part('bounces', 'Bounces by domain', 'No mail failed.', failures, failureColumns(since))}
${part('refusers', 'Bounces by host', 'No mail failed.', hosts, hostColumns(since))}
${
  recipients.kind === 'away'
    ? html`<section aria-labelledby="recipients"><h2 id="recipients">Top domains of recipients</h2><p class="empty">Not known now: ${recipients.reason}.</p></section>`
    : part('recipients', 'Top domains of recipients', 'No mail went anywhere.', recipients.value, domainColumns(since))
}</div>`
}

function part<Row>(
  id: string,
  title: string,
  empty: string,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): Html {
  const content = rows.length === 0 ? html`<p class="empty">${empty}</p>` : dataTable<Row>(title, columns, rows)
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${content}</section>`
}

function userColumns(since: string): readonly Column<UserCount>[] {
  return [
    { title: 'User', cell: ({ user }) => termLink('user', user, since) },
    { title: 'Messages', numeric: true, cell: ({ messages }) => messages.toLocaleString('en') },
    { title: 'Recipients', numeric: true, cell: ({ copies }) => copies.toLocaleString('en') },
    { title: 'Failed', numeric: true, cell: ({ failed }) => failed.toLocaleString('en') },
    { title: 'Held', numeric: true, cell: ({ held }) => held.toLocaleString('en') },
  ]
}

function senderColumns(since: string): readonly Column<SenderCount>[] {
  return [
    { title: 'Sender', cell: ({ sender }) => termLink('from', sender, since) },
    { title: 'Messages', numeric: true, cell: ({ messages }) => messages.toLocaleString('en') },
    { title: 'Size', numeric: true, cell: ({ sizeBytes }) => formatSize(sizeBytes) },
  ]
}

function failureColumns(since: string): readonly Column<FailureCount>[] {
  return [
    {
      title: 'Domain',
      cell: ({ domain, class: about }) => termLink('domain', domain, `status:failed ${classOf(about)}${since}`),
    },
    { title: 'About', cell: ({ class: about }) => about ?? 'not said' },
    { title: 'Recipients', numeric: true, cell: ({ copies }) => copies.toLocaleString('en') },
  ]
}

function hostColumns(since: string): readonly Column<HostFailures>[] {
  return [
    {
      title: 'Host',
      cell: ({ host, class: about }) =>
        host === undefined
          ? html`<span class="quiet-text">none: it ended here</span>`
          : termLink('text', host, `status:failed ${classOf(about)}${since}`),
    },
    { title: 'About', cell: ({ class: about }) => about ?? 'not said' },
    { title: 'Recipients', numeric: true, cell: ({ copies }) => copies.toLocaleString('en') },
  ]
}

function domainColumns(since: string): readonly Column<RecipientDomain>[] {
  return [
    { title: 'Domain', cell: ({ domain }) => termLink('domain', domain, since) },
    { title: 'Recipients', numeric: true, cell: ({ copies }) => copies.toLocaleString('en') },
    { title: 'Failed', numeric: true, cell: ({ failed }) => failed.toLocaleString('en') },
  ]
}

function classOf(about: string | undefined): string {
  return about === undefined ? '' : `class:${about} `
}
