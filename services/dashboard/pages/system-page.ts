import type { AuditEntry } from '../../../shared/audit.ts'
import type { CertificateView } from '../../../shared/certificate-view.ts'
import type { DashboardSettings } from '../../../shared/config/model.ts'
import type { RedisReport } from '../../../shared/queue/check-redis.ts'
import { formatDuration, formatSecond, formatSize, plural } from '../../../shared/report/units.ts'
import { isMessageId } from '../../../shared/mail/message-id.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { WebhookView } from '../../../shared/webhooks/webhook-desk.ts'
import type { Overview, ServiceView } from '../source.ts'
import type { FolderView, PeopleView, SystemView, TokenView, UserView } from '../system-desk.ts'
import type { Visitor } from '../visitor.ts'
import { soonDays } from '../watch.ts'
import { messageLink } from './job-table.ts'
import type { Page } from './layout.ts'
import { serviceTroubles } from './overview-page.ts'
import { ago, badge, dataTable, notice } from './parts.ts'
import { webhooksSection } from './webhooks-section.ts'

export interface SystemFacts {
  readonly overview: Overview
  readonly settings: DashboardSettings
  readonly webhooks: readonly WebhookView[]
  /** The action that led here. */
  readonly done?: string | undefined
  readonly system: SystemView
  /** Absent: not for this visitor. */
  readonly people?: PeopleView
  /** Absent: not for this visitor. */
  readonly audit?: readonly AuditEntry[]
  /** What is looked for in the audit log; empty: the last entries. */
  readonly word: string
}

/** What this is and stands on, who may come in, and what operators did. Not kept up to date: the audit log is long. */
export function systemPage(
  { overview, settings, system, webhooks, done, people, audit, word }: SystemFacts,
  visitor: Visitor,
): Page {
  const { at, services } = overview
  const facts: readonly Fact[] = [
    ['Host', overview.hostname],
    ['Configuration', overview.revision],
    ['Dashboard', `${settings.host}:${settings.port}${settings.readOnly ? ', read-only' : ''}`],
    ['Sign-in', signIn(settings)],
    ['You', visitor.name === undefined ? 'a reader' : `${visitor.name}, ${visitor.role}`],
  ]
  const living = services.filter(({ silent }) => !silent)
  const notes = new Set(living.flatMap(({ notes: said = [] }) => said))
  const main = html`<div class="headline"><h1>System</h1></div>
${done === 'test' && notice('plain', 'Done.', 'The webhook took the event "test".')}
${serviceTroubles(living)}
${[...notes].map((text) => notice('waiting', 'Worth a look:', text))}
<div class="columns"><section aria-labelledby="facts"><h2 id="facts">This Sluice</h2>${factList(facts)}</section>
<section aria-labelledby="storage"><h2 id="storage">Where mail is kept</h2>${factList(storage(system, at))}</section></div>
<section aria-labelledby="listeners"><h2 id="listeners">Listeners</h2>${listenerTable(services)}</section>
<section aria-labelledby="certificates"><h2 id="certificates">Certificates</h2>${certificateTable(system.certificates, at)}</section>
<section aria-labelledby="processes"><h2 id="processes">Processes</h2>${processTable(services, at)}</section>
${webhooksSection(webhooks, visitor)}
${people !== undefined && peopleSections(people, at)}
<section aria-labelledby="audit"><h2 id="audit">What operators did</h2>${auditList(audit, word)}</section>`
  return { title: 'System', section: '/system', at, main, still: true }
}

type Fact = readonly [name: string, value: HtmlValue]

function factList(facts: readonly Fact[]): Html {
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

function signIn({ operators }: DashboardSettings): HtmlValue {
  if (operators !== undefined) return `by the table ${operators.name}`
  return html`nobody signs in: whoever is on this host reads, nobody can change a thing. <code>dashboard listen "…" auth &lt;operators&gt;</code> in pipeline.conf names operators.`
}

function storage({ redis, spool, store, journal }: SystemView, nowAt: number): readonly Fact[] {
  return [
    ['Redis', redisText(redis)],
    ['Spool', spoolText(spool, nowAt)],
    [
      'Message store',
      html`${store.bytes === undefined ? undefined : `${formatSize(store.bytes)}, `}<span class="address">${store.what}</span>`,
    ],
    [
      'Journal',
      html`${formatSize(journal.bytes)} in ${plural(journal.files, 'file')}${oldest(journal, nowAt)} <small class="below">${journal.path}</small>`,
    ],
  ]
}

function spoolText({ name, folder, freeBytes, totalBytes, quotaBytes }: SystemView['spool'], nowAt: number): Html {
  const quota = quotaBytes === undefined ? '' : ` of ${formatSize(quotaBytes)}`
  const kept =
    folder === undefined
      ? 'in a bucket'
      : `${formatSize(folder.bytes)}${quota} in ${plural(folder.files, 'file')}${oldest(folder, nowAt)}`
  return html`${kept}; ${formatSize(freeBytes)} left for new mail, of a disk of ${formatSize(totalBytes)} <small class="below">${name}</small>`
}

function redisText(redis: RedisReport | undefined): HtmlValue {
  if (redis === undefined) return badge('bad', 'no answer')
  const limit = redis.maxBytes === 0 ? '' : ` of ${formatSize(redis.maxBytes)}`
  const troubles = [...redis.refusals, ...redis.warnings]
  return html`${redis.server} ${redis.version}, ${formatSize(redis.usedBytes)}${limit}
${redis.tooFull && badge('bad', 'too full')}${troubles.map((text) => html`<small class="below">${text}</small>`)}`
}

function oldest({ oldestAt }: FolderView, nowAt: number): string {
  return oldestAt === undefined ? '' : `, the oldest of ${formatDuration(Math.max(0, nowAt - oldestAt))} ago`
}

interface ListenerRow {
  readonly service: string
  readonly text: string
  /** Absent: it does not count them. */
  readonly connections?: number
}

/** Of all processes together. */
function listenerTable(services: Overview['services']): Html {
  const rows = new Map<string, ListenerRow>()
  for (const { name, listens, connections, silent } of services) {
    if (silent) continue
    for (const text of listens) {
      const count = connections?.[text]
      const before = rows.get(`${name} ${text}`)?.connections ?? 0
      rows.set(`${name} ${text}`, {
        service: name,
        text,
        ...(count === undefined ? {} : { connections: before + count }),
      })
    }
  }
  if (rows.size === 0) return html`<p class="empty">Nobody says that he listens.</p>`
  return dataTable(
    'What is listened on',
    [
      { title: 'Listens on', cell: ({ text }) => html`<code>${text}</code>` },
      { title: 'Service', cell: ({ service }) => service },
      { title: 'Connected now', numeric: true, cell: ({ connections }) => connections ?? '–' },
    ],
    [...rows.values()],
  )
}

const dayMs = 86_400_000

function certificateTable(certificates: readonly CertificateView[], nowAt: number): Html {
  if (certificates.length === 0) return html`<p class="empty">smtpd.conf names none (<code>pki</code>).</p>`
  return dataTable(
    'Certificates',
    [
      { title: 'Name', cell: ({ pki }) => html`<strong>${pki}</strong>` },
      { title: 'For', cell: ({ found }) => html`<span class="address">${found?.names.join(' ')}</span>` },
      { title: 'Signed by', cell: ({ found }) => found?.issuer },
      { title: 'Holds', cell: (one) => holds(one, nowAt) },
      {
        title: 'Shown at',
        cell: ({ listeners }) => html`${listeners.length === 0 ? '–' : html`<code>${listeners.join(' ')}</code>`}`,
      },
      { title: 'File', cell: ({ file }) => html`<code>${file}</code>` },
    ],
    certificates,
  )
}

function holds({ found, trouble }: CertificateView, nowAt: number): HtmlValue {
  if (found === undefined) return html`${badge('bad', 'cannot be read')} <small class="below">${trouble}</small>`
  const until = html`<small class="below">until ${formatSecond(found.untilAt)}</small>`
  if (found.untilAt <= nowAt) return html`${badge('bad', 'over')} ${until}`
  if (found.fromAt > nowAt) return html`${badge('bad', 'not yet')} ${until}`
  const days = Math.floor((found.untilAt - nowAt) / dayMs)
  return html`${badge(days < soonDays ? 'waiting' : 'good', plural(days, 'day'))} ${until}`
}

interface ProcessRow extends Pick<ServiceView, 'host' | 'pid' | 'startedAt' | 'silent' | 'versions' | 'configuration'> {
  readonly services: readonly string[]
}

function processTable(services: Overview['services'], nowAt: number): Html {
  const rows = new Map<string, ProcessRow>()
  for (const one of services) {
    const key = `${one.pid} on ${one.host}`
    const before = rows.get(key)
    rows.set(key, {
      ...one,
      silent: one.silent || before?.silent === true,
      services: [...(before?.services ?? []), one.name],
    })
  }
  if (rows.size === 0) return html`<p class="empty">No service runs.</p>`
  return dataTable(
    'Processes',
    [
      { title: 'Process', cell: ({ pid, host }) => html`<span class="whole">${pid} on ${host}</span>` },
      { title: 'Does', cell: ({ services: names }) => names.join(', ') },
      { title: 'Runs for', cell: ({ startedAt }) => ago(startedAt, nowAt) },
      { title: 'Sluice', cell: ({ versions }) => versions?.sluice ?? '–' },
      { title: 'Node.js', cell: ({ versions }) => versions?.node ?? '–' },
      { title: 'Configuration', cell: ({ configuration }) => html`<code>${configuration?.revision}</code>` },
      {
        title: 'State',
        cell: ({ silent, configuration }) =>
          silent
            ? badge('bad', 'silent')
            : configuration?.fault === undefined
              ? badge('good', 'there')
              : badge('waiting', 'the files on disk are not in force'),
      },
    ],
    [...rows.values()],
  )
}

function peopleSections({ users, tokens }: PeopleView, nowAt: number): Html {
  const notListed = html`<p class="empty">Its table answers questions, and tells no list.</p>`
  return html`<section aria-labelledby="users"><h2 id="users">Who may sign in</h2>${users === undefined ? notListed : userTable(users, nowAt)}</section>
<section aria-labelledby="tokens"><h2 id="tokens">Tokens of the API</h2>${tokens === undefined ? notListed : tokenTable(tokens, nowAt)}</section>`
}

function userTable(users: readonly UserView[], nowAt: number): Html {
  if (users.length === 0) return html`<p class="empty">Nobody.</p>`
  return dataTable(
    'Operators',
    [
      { title: 'Name', cell: ({ name }) => html`<strong>${name}</strong>` },
      { title: 'Role', cell: ({ role }) => (role === undefined ? badge('bad', 'neither hash nor role') : role) },
      {
        title: 'Signed in',
        cell: ({ signedInAt }) => (signedInAt === undefined ? 'not known' : html`${ago(signedInAt, nowAt)} ago`),
      },
    ],
    users,
  )
}

function tokenTable(tokens: readonly TokenView[], nowAt: number): Html {
  if (tokens.length === 0) return html`<p class="empty">None. <code>sluicectl token NAME</code> makes one.</p>`
  return dataTable(
    'Tokens',
    [
      { title: 'Name', cell: ({ name }) => html`<strong>${name}</strong>` },
      {
        title: 'May',
        cell: ({ scopes }) => (scopes.length === 0 ? badge('bad', 'not a token') : scopes.join(', ')),
      },
      {
        title: 'Last used',
        cell: ({ usedAt }) => (usedAt === undefined ? 'never seen' : html`${ago(usedAt, nowAt)} ago`),
      },
    ],
    tokens,
  )
}

function auditList(audit: readonly AuditEntry[] | undefined, word: string): Html {
  if (audit === undefined) return html`<p class="empty">It is shown to those who signed in as admin.</p>`
  return html`<form class="search" action="/system#audit" method="get">
<label for="word" class="quiet">Only entries with the word</label>
<input id="word" name="word" value="${word}" type="search" placeholder="name, message, action, address" maxlength="200" autocomplete="off" spellcheck="false">
<button>Look for it</button></form>
${audit.length === 0 ? html`<p class="empty">${word === '' ? 'Nothing yet.' : 'No entry has it.'}</p>` : auditTable(audit)}`
}

function auditTable(audit: readonly AuditEntry[]): Html {
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
