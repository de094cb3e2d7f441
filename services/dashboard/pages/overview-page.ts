import { isBehind } from '../../../shared/report/queue-health.ts'
import { formatDuration, plural } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { QueueView } from '../../../shared/report/views.ts'
import type { Overview, ServiceView } from '../source.ts'
import { daySection } from './day-section.ts'
import type { DaySeen } from './day-section.ts'
import { jobTable } from './job-table.ts'
import type { Page } from './layout.ts'
import type { Warning } from '../watch.ts'
import { ago, badge, dataTable, notice, redisAway } from './parts.ts'
import { defaultTargetMs } from '../../../shared/report/queue-health.ts'
import { pipelineDrawing } from './pipeline-drawing.ts'
import { troubleNotices } from './queue-page.ts'

/** @param warnings of what is not trouble yet */
export function overviewPage(overview: Overview, warnings: readonly Warning[], day: DaySeen): Page {
  const { at, queues, services } = overview
  const main = html`<div class="headline"><h1>${headline(overview, warnings)}</h1><p class="quiet-text">${overview.hostname} · configuration ${overview.revision}</p></div>
${queues.kind === 'away' && redisAway(queues.reason, 'Mail is still accepted and waits in the spool; its jobs are added when Redis is back.')}
${configurationFaults(services).map((fault) =>
  notice(
    'bad',
    'The configuration on disk is not in force.',
    html`Mail goes on by the one before. What is wrong: <span class="as-written">${fault}</span>`,
  ),
)}
${services
  .filter((service) => service.silent)
  .map((service) =>
    notice(
      'bad',
      `Service ${service.name} is silent`,
      `for ${formatDuration(at - service.beatAt)} (process ${service.pid} on ${service.host}). Other processes take over its work when there are any.`,
    ),
  )}
${serviceTroubles(services)}
${troubleNotices(overview)}
${warnings.map(warningNotice)}
${configurationWarnings(services)}
<section aria-labelledby="pipeline"><h2 id="pipeline">Pipeline</h2>${pipelineDrawing(overview)}</section>
${daySection(day, at)}
<section aria-labelledby="attention"><h2 id="attention">Needs a look</h2>${attentionList(overview)}</section>
<section aria-labelledby="services"><h2 id="services">Services</h2>${servicesTable(services, at)}</section>`
  return { title: 'Overview', section: '/', at, main }
}

function warningNotice({ tone, title, text, page, leads }: Warning): Html {
  return notice(tone, title, html`${text} <a href="${page}">${leads}</a>`)
}

/** The state of the whole in one sentence. */
export function headline(overview: Overview, warnings: readonly Warning[]): string {
  const { queues, services } = overview
  if (queues.kind === 'away') return 'Redis is away'
  if (services.some((service) => service.silent)) return 'A service is silent'
  if (services.some(isInTrouble)) return 'A service reports trouble'
  if (configurationFaults(services).length > 0) return 'The configuration on disk is not in force'
  const late = queues.value.filter((queue) => isBehind(queue, overview.targetsMs.get(queue.name) ?? defaultTargetMs))
  if (late.length > 0) return `${plural(late.length, 'queue is', 'queues are')} behind`
  const grave = warnings.find(({ tone, page }) => tone === 'bad' && page.startsWith('/system'))
  if (grave !== undefined) return grave.title.replace(/\.$/, '')
  const inside = queues.value.reduce((sum, queue) => sum + queue.waiting + queue.active + queue.delayed, 0)
  const held = heldIn(queues.value)
  const way = inside === 0 ? 'All mail is out' : `${plural(inside, 'message')} on the way`
  return held === '0' ? way : `${way}, ${held} held`
}

/** How many are held in all queues: `12`, `2000+`. */
function heldIn(queues: readonly QueueView[]): string {
  const held = queues.reduce((sum, queue) => sum + queue.held, 0)
  return `${held}${queues.some(({ heldAtLeast }) => heldAtLeast === true) ? '+' : ''}`
}

/** What services say that hinders them. */
export function serviceTroubles(services: readonly ServiceView[]): HtmlValue {
  return services
    .filter(isInTrouble)
    .map(({ name, troubles }) =>
      notice(
        'bad',
        `Service ${name} reports trouble.`,
        html`${troubles.join('; ')} ${name === 'filter' && html`<a href="/filters">Filters</a>`}`,
      ),
    )
}

function isInTrouble({ silent, troubles }: ServiceView): boolean {
  return !silent && troubles.length > 0
}

/** What the last reload found odd, each once: to be read, not to be alarmed by. */
function configurationWarnings(services: readonly ServiceView[]): HtmlValue {
  const warnings = [...new Set(services.flatMap(({ configuration }) => configuration?.warnings ?? []))]
  if (warnings.length === 0) return undefined
  return html`<details class="notice" data-tone="waiting"><summary>The configuration has ${plural(warnings.length, 'warning')}.</summary>${warnings.map((text) => html`<span class="as-written">${text}</span>`)}</details>`
}

/** Each once, of processes that live. */
function configurationFaults(services: readonly ServiceView[]): readonly string[] {
  const faults = services.map(({ silent, configuration }) => (silent ? undefined : configuration?.fault))
  return [...new Set(faults)].filter((fault) => fault !== undefined)
}

/** What a filter keeps back is its work, and only counted; what broke a worker, or an operator holds, is told. */
function attentionList({ queues, attention, at }: Overview): HtmlValue {
  if (attention.kind === 'away') return html`<p class="empty">Unknown while Redis is away.</p>`
  const held = queues.kind === 'away' ? '0' : heldIn(queues.value)
  const kept = held !== '0' && html`<p><a href="/held">${held} held</a> in all, with what filters keep back.</p>`
  if (attention.value.length === 0)
    return html`${kept}<p class="empty">Nothing waits for another attempt, and nothing is held by trouble or by hand.</p>`
  return html`${kept}${jobTable(
    'What is held by trouble or by hand, and the first that wait for another attempt',
    attention.value,
    at,
    { queue: true, message: true },
  )}`
}

function servicesTable(services: readonly ServiceView[], at: number): Html {
  if (services.length === 0) return html`<p class="empty">No service has reported yet.</p>`
  return dataTable(
    'Services and the processes they run in',
    [
      { title: 'Service', cell: (service) => html`<strong>${service.name}</strong>` },
      { title: 'State', cell: serviceState },
      {
        title: 'Last job',
        cell: ({ lastJobAt }) =>
          lastJobAt === undefined ? '–' : html`<span class="whole">${ago(lastJobAt, at)} ago</span>`,
      },
      { title: 'Listens', cell: ({ listens }) => listens.map((one) => html`<span class="endpoint">${one}</span> `) },
      { title: 'Process', cell: (service) => html`<span class="whole">${service.pid} on ${service.host}</span>` },
      { title: 'Configuration', cell: ({ configuration }) => configuration?.revision ?? '–' },
      { title: 'Up', cell: (service) => ago(service.startedAt, at) },
    ],
    services,
  )
}

function serviceState(service: ServiceView): HtmlValue {
  if (service.silent) return badge('bad', 'silent')
  if (service.troubles.length === 0) return badge('good', 'working')
  return html`${badge('bad', 'trouble')} ${service.troubles.join('; ')}`
}
