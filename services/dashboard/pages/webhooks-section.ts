import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { formatSecond, plural } from '../../../shared/report/units.ts'
import { mostWaiting } from '../../../shared/webhooks/read-events.ts'
import type { WebhookView } from '../../../shared/webhooks/webhook-desk.ts'
import type { Visitor } from '../visitor.ts'
import { badge, dataTable, formTokenField } from './parts.ts'

/** Who is told of events, and how that goes. */
export function webhooksSection(webhooks: readonly WebhookView[], visitor: Visitor): Html {
  return html`<section aria-labelledby="webhooks"><h2 id="webhooks">Webhooks</h2>${table(webhooks, visitor)}</section>`
}

function table(webhooks: readonly WebhookView[], visitor: Visitor): Html {
  if (webhooks.length === 0)
    return html`<p class="empty">Nobody is told of events: there is no <code>webhook</code> in pipeline.conf.</p>`
  return dataTable<WebhookView>(
    'Webhooks',
    [
      { title: 'Webhook', cell: ({ host, name }) => html`${host}<br><small class="quiet-text">${name}</small>` },
      { title: 'Events', cell: ({ events }) => events.join(', ') },
      { title: 'State', cell: stateOf },
      { title: 'Waiting', numeric: true, cell: waitingOf },
      { title: 'Sent', numeric: true, cell: ({ sent }) => sent },
      { title: 'Dropped', numeric: true, cell: ({ dropped }) => dropped },
      { title: 'Last taken', cell: ({ sentAt }) => (sentAt === undefined ? 'never' : formatSecond(sentAt)) },
      ...(visitor.acts ? [{ title: 'Action', cell: (one: WebhookView) => testButton(one, visitor) }] : []),
    ],
    webhooks,
  )
}

function stateOf({ state, failure }: WebhookView): HtmlValue {
  if (failure === undefined) return badge(state === 'works' ? 'good' : 'plain', state)
  const { attempts, since, reason, nextAt } = failure
  return html`${badge('bad', 'fails')}<br><small>${plural(attempts, 'attempt')} since ${formatSecond(since)}, again at ${formatSecond(nextAt)}: ${reason}</small>`
}

function waitingOf({ waiting }: WebhookView): HtmlValue {
  if (waiting === undefined) return '–'
  return waiting < mostWaiting ? waiting : `${waiting}+`
}

function testButton({ name }: WebhookView, visitor: Visitor): Html {
  return html`<form action="/webhooks/${name}/test" method="post">${formTokenField(visitor)}<button id="webhooks-${name}-test">Test<span class="quiet"> webhook ${name}</span></button></form>`
}
