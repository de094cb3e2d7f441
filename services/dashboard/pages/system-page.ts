import type { AuditEntry } from '../../../shared/audit.ts'
import type { DashboardSettings } from '../../../shared/config/model.ts'
import { formatSecond } from '../../../shared/report/units.ts'
import { isMessageId } from '../../../shared/mail/message-id.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { WebhookView } from '../../../shared/webhooks/webhook-desk.ts'
import type { Overview } from '../source.ts'
import type { Visitor } from '../visitor.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { serviceTroubles } from './overview-page.ts'
import { badge, dataTable, notice } from './parts.ts'
import { webhooksSection } from './webhooks-section.ts'

export interface SystemFacts {
  readonly overview: Overview
  readonly settings: DashboardSettings
  readonly webhooks: readonly WebhookView[]
  /** The action that led here. */
  readonly done?: string | undefined
  /** Absent: not for this visitor. */
  readonly audit?: readonly AuditEntry[]
}

/** What this is, who may come in, and what operators did. */
export function systemPage({ overview, settings, webhooks, done, audit }: SystemFacts, visitor: Visitor): Page {
  const facts: readonly (readonly [string, HtmlValue])[] = [
    ['Host', overview.hostname],
    ['Configuration', overview.revision],
    ['Node.js', process.version],
    ['Dashboard', `${settings.host}:${settings.port}${settings.readOnly ? ', read-only' : ''}`],
    ['Sign-in', signIn(settings)],
    ['You', visitor.name === undefined ? 'a reader' : `${visitor.name}, ${visitor.role}`],
  ]
  const living = overview.services.filter(({ silent }) => !silent)
  const notes = new Set(living.flatMap(({ notes: said = [] }) => said))
  const main = html`<div class="headline"><h1>System</h1></div>
${done === 'test' && notice('plain', 'Done.', 'The webhook took the event "test".')}
${serviceTroubles(living)}
${[...notes].map((text) => notice('waiting', 'Worth a look:', text))}
<section aria-labelledby="facts"><h2 id="facts">This Sluice</h2>
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>
${webhooksSection(webhooks, visitor)}
<section aria-labelledby="audit"><h2 id="audit">What operators did</h2>${auditList(audit)}</section>`
  return { title: 'System', section: '/system', at: overview.at, main }
}

function signIn({ operators }: DashboardSettings): HtmlValue {
  if (operators !== undefined) return `by the table ${operators.name}`
  return html`nobody signs in: whoever is on this host reads, nobody can change a thing. <code>dashboard listen "…" auth &lt;operators&gt;</code> in pipeline.conf names operators.`
}

function auditList(audit: readonly AuditEntry[] | undefined): Html {
  if (audit === undefined) return html`<p class="empty">It is shown to those who signed in as admin.</p>`
  if (audit.length === 0) return html`<p class="empty">Nothing yet.</p>`
  return dataTable(
    'What operators did, newest first',
    [
      {
        title: 'When',
        cell: ({ at }) => html`<time datetime="${new Date(at).toISOString()}">${formatSecond(at)}</time>`,
      },
      { title: 'Who', cell: ({ by }) => by },
      { title: 'From', cell: ({ from }) => html`<span class="address">${from}</span>` },
      { title: 'What', cell: ({ action }) => action },
      { title: 'About', cell: about },
      { title: 'Outcome', cell: ({ outcome }) => badge(outcome === 'done' ? 'good' : 'bad', outcome) },
      { title: 'Detail', cell: ({ detail }) => detail },
    ],
    audit,
  )
}

function about({ about: what, action }: AuditEntry): HtmlValue {
  if (what === undefined) return undefined
  if (action.endsWith('queue')) return html`<a href="/queues/${what}">${what}</a>`
  if (action === 'check domain' || action.endsWith('DKIM key')) return html`<a href="/domains/${what}">${what}</a>`
  return isMessageId(what) ? messageLink(what) : what
}
