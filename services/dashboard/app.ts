import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Teacher } from '../../shared/classifier/teacher.ts'
import type { Clock } from '../../shared/clock.ts'
import { TableError } from '../../shared/config/external-table.ts'
import { isAtLeast } from '../../shared/config/operators.ts'
import type { Logger } from '../../shared/log.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { DryRuns } from '../../shared/dry-run/dry-runs.ts'
import type { BulkRuns } from '../../shared/operate/bulk-runs.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { QueryError } from '../../shared/store/query.ts'
import { LateError } from '../../shared/deadline.ts'
import type { WebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import { addAccess, assetRoutes, linkRoute } from './access.ts'
import type { Access, AccessParts } from './access.ts'
import { addActions, selections } from './actions.ts'
import { addApi } from './api.ts'
import type { Assets } from './assets.ts'
import { addBulk } from './bulk-routes.ts'
import { addDryRuns } from './dry-run-routes.ts'
import { addEvents } from './event-routes.ts'
import { parseQuestion } from './explain-question.ts'
import { addHealth } from './health.ts'
import { addHeld } from './held-routes.ts'
import type { DomainDesk } from './domain-desk.ts'
import { addDomains } from './domain-routes.ts'
import { addFilters } from './filter-routes.ts'
import type { ViewFilters } from './filter-routes.ts'
import { createLiveTicks } from './live-ticks.ts'
import { addMetrics } from './metrics-app.ts'
import type { Exposition } from './metrics-app.ts'
import { confirmPage } from './pages/action-bar.ts'
import { changePage } from './pages/change-page.ts'
import { selectionPage } from './pages/selection-page.ts'
import { errorPage } from './pages/error-page.ts'
import { aboutDestination } from './pages/destination-parts.ts'
import { destinationsPage } from './pages/destinations-page.ts'
import { reportsPage } from './pages/reports-page.ts'
import { rulesPage } from './pages/rules-page.ts'
import { bareLayout, iconSvg, layout } from './pages/layout.ts'
import type { Page } from './pages/layout.ts'
import { messageNotFoundPage, messagePage } from './pages/message-page.ts'
import { messagesPage } from './pages/messages-page.ts'
import { overviewPage } from './pages/overview-page.ts'
import { queuePage, queuesPage } from './pages/queue-page.ts'
import { addQuarantineLinks } from './quarantine-links.ts'
import type { QuarantineDesk } from './quarantine-links.ts'
import { explainForm, findQuestion, jobQuestion, queryText, reportQuestion } from './questions.ts'
import { isAddressedBy, isHostAllowed, securityHeaders } from './security.ts'
import { addSearches } from './search-routes.ts'
import type { SearchShelf } from './search-shelf.ts'
import type { Source } from './source.ts'
import { addSource } from './source-routes.ts'
import type { SystemDesk } from './system-desk.ts'
import { addSystem } from './system-routes.ts'
import { addTrial } from './trial-route.ts'
import { anybody } from './visitor.ts'
import type { Visitor } from './visitor.ts'
import { createWatchDesk } from './watch-desk.ts'
import { addWebhooks } from './webhook-routes.ts'

export interface AppParts {
  readonly source: Source
  readonly operations: Operations
  readonly runs: BulkRuns
  readonly dryRuns: DryRuns
  readonly shelf: SearchShelf
  readonly teacher: Teacher
  readonly desk: QuarantineDesk
  readonly domains: DomainDesk
  readonly filters: ViewFilters
  readonly webhooks: WebhookDesk
  readonly system: SystemDesk
  readonly access: Omit<AccessParts, 'log'>
  /** Absent: the metrics are told elsewhere. */
  readonly exposition?: Exposition
  readonly assets: Assets
  readonly clock: Clock
  readonly log: Logger
  /** Address it listens on: decides which Host headers are answered. */
  readonly host: string
  /** How often the page Live looks for what is new. */
  readonly eventsEveryMs?: number
  /** How often open pages are told to refresh. */
  readonly tickEveryMs?: number
}

const defaultTickEveryMs = 2_000
const machineRoutes: ReadonlySet<string> = new Set(['/health', '/ready', '/alive', '/metrics'])

/** All routes. What may be seen and done by whom is decided before any of them runs. */
export function createApp(parts: AppParts): FastifyInstance {
  const { source, operations, webhooks, runs, clock, log } = parts
  const { audit, settings } = parts.access
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 8 * 1024,
    routerOptions: { maxParamLength: 256 },
  })
  addFormParser(app)

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    const { operators, url } = settings()
    if (operators !== undefined || isHostAllowed(request.headers.host, parts.host)) return undefined
    if (isForReaders(request) && isAddressedBy(request.headers.host, url)) return undefined
    return reply.code(421).type('text/plain').send('This dashboard answers to localhost only.\n')
  })
  const access = addAccess(app, { ...parts.access, log })
  const show = pageSender(access)
  addErrorPages(app, parts, show)
  addAssets(app, parts)
  addMachineRoutes(app, parts, access)
  addPages(app, parts, { access, show })
  addEvents(app, { ...parts, show })
  addConfirmations(app, parts, { access, show })
  addChanges(app, parts, { access, show })
  addFilters(app, parts.filters, show)
  addTrial(app, { operations, clock, visitor: (request) => access.visitor(request) ?? anybody, show })
  addSystem(app, { desk: parts.system, source, webhooks, audit, access, settings, show })
  const forms = { access, audit, clock, show }
  addSource(app, { ...forms, source })
  addActions(app, { ...forms, operations })
  addHeld(app, { ...forms, source, operations })
  addBulk(app, { ...forms, source, runs, log })
  addWebhooks(app, { ...forms, desk: webhooks })
  addDomains(app, { ...forms, desk: parts.domains })
  addDryRuns(app, { ...forms, runs: parts.dryRuns })
  addSearches(app, { ...forms, shelf: parts.shelf })
  addQuarantineLinks(app, { desk: parts.desk, access, audit, clock, isReadOnly: () => settings().readOnly })
  addApi(app, { ...parts, access, audit })
  return app
}

/** What readers of digests come for, from elsewhere. */
function isForReaders({ routeOptions: { url } }: FastifyRequest): boolean {
  return url === linkRoute || assetRoutes.some((one) => one === url)
}

/** Sends a page as its reader may see it. */
type Show = (request: FastifyRequest, reply: FastifyReply, page: Page) => FastifyReply

interface Shown {
  readonly access: Access
  readonly show: Show
}

function pageSender(access: Access): Show {
  return (request, reply, page) => {
    const visitor = access.visitor(request)
    const { text } = visitor === undefined ? bareLayout(page.title, page.main) : layout(page, visitor)
    return reply.type('text/html; charset=utf-8').send(text)
  }
}

/** Forms of pages. What a program sends along as JSON is read by the actions that take some. */
function addFormParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, new URLSearchParams(String(body)))
  })
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))
}

function addErrorPages(app: FastifyInstance, { clock, log }: AppParts, show: Show): void {
  app.setNotFoundHandler((request, reply) =>
    show(request, reply.code(404), errorPage('Not found', 'There is no such page.', clock.now())),
  )
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, request, reply) => {
    const code = error.statusCode ?? 500
    if (code >= 500) log.error({ err: error, path: request.url }, 'dashboard failed')
    const text =
      code >= 500 ? 'The dashboard could not do this; the log says why.' : 'The request cannot be understood.'
    return isApi(request)
      ? reply.code(code).send({ error: text })
      : show(request, reply.code(code), errorPage('That did not work', text, clock.now()))
  })
}

function addPages(app: FastifyInstance, { source, system, shelf, clock }: AppParts, { access, show }: Shown): void {
  const watch = createWatchDesk({ system, source, clock })
  const visitorOf = (request: FastifyRequest): Visitor => access.visitor(request) ?? anybody

  app.get('/', async (request, reply) => {
    const [overview, warnings, day] = await Promise.all([source.overview(), watch.warnings(), source.reports.hours()])
    return show(request, reply, overviewPage(overview, warnings, day))
  })

  app.get('/queues', async (request, reply) => {
    const [overview, shares] = await Promise.all([source.overview(), source.shares()])
    return show(request, reply, queuesPage(overview, { shares, visitor: visitorOf(request) }))
  })

  app.get('/queues/:name', async (request, reply) => {
    const name = parameter(request, 'name')
    const detail = await source.queue(name, jobQuestion(request))
    if (detail !== undefined)
      return show(
        request,
        reply,
        queuePage(name, detail, { visitor: visitorOf(request), done: queryText(request, 'done') }),
      )
    return show(request, reply.code(404), errorPage('No such queue', `There is no queue '${name}'.`, clock.now()))
  })

  app.get('/destinations', async (request, reply) => {
    const { seen, at } = await source.destinations()
    return show(request, reply, destinationsPage(seen, at))
  })

  app.get('/reports', async (request, reply) => {
    const question = reportQuestion(request)
    const { reports } = source
    const [dmarc, tls, abuse, traffic, recipients] = await Promise.all([
      reports.dmarc(question),
      reports.tls(question),
      reports.abuse(question),
      reports.traffic(question.days),
      reports.recipients(question.days),
    ])
    return show(request, reply, reportsPage({ dmarc, tls, abuse, traffic, recipients }, question, clock.now()))
  })

  app.get('/rules', async (request, reply) => {
    const form = explainForm(request)
    const visitor = visitorOf(request)
    const common = { rules: await source.rules(), form, mayTry: visitor.acts && isAtLeast(visitor.role, 'admin') }
    if (form.rcpt === '') return show(request, reply, rulesPage(common, clock.now()))
    const asked = parseQuestion(form)
    if ('problem' in asked)
      return show(request, reply.code(400), rulesPage({ ...common, problem: asked.problem }, clock.now()))
    const answer = await source.explain(asked).then(
      (explanation) => ({ explanation }),
      (error: unknown) => {
        if (error instanceof TableError || error instanceof LateError) return { problem: error.message }
        throw error
      },
    )
    return show(request, reply, rulesPage({ ...common, ...answer }, clock.now()))
  })

  app.get('/messages', async (request, reply) => {
    const { query, ...page } = findQuestion(request, queryText(request, 'id') === undefined ? 'q' : 'id')
    const id = query.toLowerCase()
    if (isMessageId(id)) return reply.redirect(`/messages/${id}`, 303)
    const visitor = visitorOf(request)
    const saved = await shelf.for(visitor.name)
    const look = { query, isLater: page.before !== undefined, saved, visitor }
    try {
      const { found, at } = await source.find({ query, ...page })
      return show(request, reply, messagesPage({ ...look, found }, at))
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      return show(request, reply.code(400), messagesPage({ ...look, problem: error.message }, clock.now()))
    }
  })

  app.get('/messages/:id', async (request, reply) => {
    const id = parameter(request, 'id')
    const message = isMessageId(id) ? await source.message(id) : undefined
    const look = { visitor: visitorOf(request), done: queryText(request, 'done') }
    if (message !== undefined) return show(request, reply, messagePage(message, look, clock.now()))
    return show(request, reply.code(404), messageNotFoundPage(id, clock.now()))
  })
}

/** Asked before what cannot be taken back; the forms go to the same paths by POST. */
function addConfirmations(app: FastifyInstance, { source, clock }: AppParts, { access, show }: Shown): void {
  for (const kind of ['remove', 'release'] as const) {
    app.get(`/messages/:id/${kind}`, async (request, reply) => {
      const id = parameter(request, 'id')
      const visitor = access.visitor(request) ?? anybody
      const message = isMessageId(id) ? await source.message(id) : undefined
      if (message === undefined) return show(request, reply.code(404), messageNotFoundPage(id, clock.now()))
      if (!visitor.acts) return reply.redirect(`/messages/${id}`, 303)
      return show(request, reply, confirmPage(message, kind, visitor, clock.now()))
    })
  }
}

/** What can be done to many, with the numbers first, and to where a message goes. */
function addChanges(app: FastifyInstance, { source, operations, clock }: AppParts, { access, show }: Shown): void {
  for (const [path, selection] of selections) {
    app.get(`/${path}/:name`, async (request, reply) => {
      const name = parameter(request, 'name')
      const target = selection(name)
      const counts = await operations.counts(target).then(
        (value) => ({ kind: 'seen', value }) as const,
        (error: unknown) => {
          if (error instanceof QueueUnavailableError) return { kind: 'away', reason: error.message } as const
          throw error
        },
      )
      const look = {
        path: `/${path}/${encodeURIComponent(name)}`,
        ...(path === 'destinations' && { about: aboutDestination(await source.destination(name), clock.now()) }),
        title: path === 'destinations' ? `Destination ${name}` : `Tag ${name}`,
        counts,
        actions: source.relayActions(),
        visitor: access.visitor(request) ?? anybody,
        done: queryText(request, 'done'),
      }
      return show(request, reply.code(counts.kind === 'seen' ? 200 : 503), selectionPage(look, clock.now()))
    })
  }

  app.get('/messages/:id/change', async (request, reply) => {
    const id = parameter(request, 'id')
    const visitor = access.visitor(request) ?? anybody
    const message = isMessageId(id) ? await source.message(id) : undefined
    if (message === undefined) return show(request, reply.code(404), messageNotFoundPage(id, clock.now()))
    if (!visitor.acts) return reply.redirect(`/messages/${id}`, 303)
    return show(request, reply, changePage(message, source.relayActions(), visitor, clock.now()))
  })
}

function addMachineRoutes(
  app: FastifyInstance,
  { source, exposition, tickEveryMs = defaultTickEveryMs }: AppParts,
  access: Access,
): void {
  addHealth(app, source, (request) => access.visitor(request) !== undefined)
  if (exposition !== undefined) addMetrics(app, exposition)

  const ticks = createLiveTicks(tickEveryMs)
  app.addHook('preClose', async () => ticks.close())
  app.get('/live', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack()
    const { raw } = reply
    raw.writeHead(200, { ...securityHeaders, 'content-type': 'text/event-stream' })
    if (!ticks.add(raw)) raw.end()
  })
}

/** Fetched again after a minute, so that a page never lives long with the stylesheet of another version. */
function addAssets(app: FastifyInstance, { assets }: AppParts): void {
  const files: readonly (readonly [(typeof assetRoutes)[number], string, string])[] = [
    ['/assets/sluice.css', 'text/css; charset=utf-8', assets.stylesheet],
    ['/assets/live.js', 'text/javascript; charset=utf-8', assets.liveModule],
    ['/assets/icon.svg', 'image/svg+xml', iconSvg],
  ]
  for (const [path, type, text] of files) {
    app.get(path, (_request, reply) => reply.type(type).header('cache-control', 'max-age=60').send(text))
  }
}

function isApi(request: FastifyRequest): boolean {
  return request.url.startsWith('/api/') || machineRoutes.has(request.url)
}

function parameter(request: FastifyRequest, name: string): string {
  const value = (request.params as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : ''
}
