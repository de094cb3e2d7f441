import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Registry } from 'prom-client'

import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { Assets } from './assets.ts'
import type { Html } from './html.ts'
import { createLiveTicks } from './live-ticks.ts'
import { errorPage } from './pages/error-page.ts'
import { iconSvg } from './pages/layout.ts'
import { messageNotFoundPage, messagePage } from './pages/message-page.ts'
import { overviewPage } from './pages/overview-page.ts'
import { jobStates, queuePage, queuesPage } from './pages/queue-page.ts'
import { isHostAllowed, securityHeaders } from './security.ts'
import type { JobQuestion, Source } from './source.ts'

export interface AppParts {
  readonly source: Source
  readonly registry: Registry
  readonly assets: Assets
  readonly clock: Clock
  readonly log: Logger
  /** Address it listens on: decides which Host headers are answered. */
  readonly host: string
  /** How often open pages are told to refresh. */
  readonly tickEveryMs?: number
}

const defaultTickEveryMs = 2_000
const jobsPerPage = 100

/** All routes. They read: nothing here changes mail, queues or configuration. */
export function createApp(parts: AppParts): FastifyInstance {
  const { clock, log, host } = parts
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: 1024,
    routerOptions: { maxParamLength: 128 },
  })

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    if (isHostAllowed(request.headers.host, host)) return
    await reply.code(421).type('text/plain').send('This dashboard answers to localhost only.\n')
  })
  app.setNotFoundHandler((_request, reply) =>
    sendPage(reply.code(404), errorPage('Not found', 'There is no such page.', clock.now())),
  )
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, request, reply) => {
    const code = error.statusCode ?? 500
    if (code >= 500) log.error({ err: error, path: request.url }, 'dashboard failed')
    const text =
      code >= 500 ? 'The dashboard could not do this; the log says why.' : 'The request cannot be understood.'
    return isApi(request)
      ? reply.code(code).send({ error: text })
      : sendPage(reply.code(code), errorPage('That did not work', text, clock.now()))
  })

  addAssets(app, parts)
  addMachineRoutes(app, parts)
  addPages(app, parts)
  addApi(app, parts)
  return app
}

function addPages(app: FastifyInstance, { source, clock }: AppParts): void {
  app.get('/', async (_request, reply) => sendPage(reply, overviewPage(await source.overview())))

  app.get('/queues', async (_request, reply) => {
    const { queues, at } = await source.overview()
    return sendPage(reply, queuesPage(queues, at))
  })

  app.get('/queues/:name', async (request, reply) => {
    const name = parameter(request, 'name')
    const detail = await source.queue(name, jobQuestion(request))
    if (detail !== undefined) return sendPage(reply, queuePage(name, detail))
    return sendPage(reply.code(404), errorPage('No such queue', `There is no queue '${name}'.`, clock.now()))
  })

  app.get('/messages', async (request, reply) => {
    const id = queryText(request, 'id')?.trim().toLowerCase() ?? ''
    if (isMessageId(id)) return reply.redirect(`/messages/${id}`, 303)
    return sendPage(reply.code(404), messageNotFoundPage(id, clock.now()))
  })

  app.get('/messages/:id', async (request, reply) => {
    const id = parameter(request, 'id')
    const message = isMessageId(id) ? await source.message(id) : undefined
    if (message !== undefined) return sendPage(reply, messagePage(message, clock.now()))
    return sendPage(reply.code(404), messageNotFoundPage(id, clock.now()))
  })
}

function addApi(app: FastifyInstance, { source }: AppParts): void {
  app.get('/api/queues', async (_request, reply) => {
    const { queues, at } = await source.overview()
    return queues.kind === 'seen' ? { at, queues: queues.value } : unavailable(reply, queues.reason)
  })

  app.get('/api/queues/:name', async (request, reply) => {
    const detail = await source.queue(parameter(request, 'name'), jobQuestion(request))
    if (detail === undefined) return reply.code(404).send({ error: 'no such queue' })
    const { queue, jobs, question, at } = detail
    if (queue.kind === 'away') return unavailable(reply, queue.reason)
    if (jobs.kind === 'away') return unavailable(reply, jobs.reason)
    return { at, ...queue.value, start: question.start, jobs: jobs.value }
  })

  app.get('/api/messages/:id', async (request, reply) => {
    const id = parameter(request, 'id')
    const message = isMessageId(id) ? await source.message(id) : undefined
    return message ?? reply.code(404).send({ error: 'no such message' })
  })
}

function addMachineRoutes(
  app: FastifyInstance,
  { source, registry, tickEveryMs = defaultTickEveryMs }: AppParts,
): void {
  app.get('/health', async (_request, reply) => {
    const health = await source.health()
    return reply
      .code(health.healthy ? 200 : 503)
      .send({ status: health.healthy ? 'ok' : 'failing', checks: health.checks })
  })

  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))

  const ticks = createLiveTicks(tickEveryMs)
  app.addHook('preClose', async () => ticks.close())
  app.get('/live', (_request, reply) => {
    reply.hijack()
    const { raw } = reply
    raw.writeHead(200, { ...securityHeaders, 'content-type': 'text/event-stream' })
    if (!ticks.add(raw)) raw.end()
  })
}

/** Fetched again after a minute, so that a page never lives long with the stylesheet of another version. */
function addAssets(app: FastifyInstance, { assets }: AppParts): void {
  const files: readonly (readonly [string, string, string])[] = [
    ['/assets/sluice.css', 'text/css; charset=utf-8', assets.stylesheet],
    ['/assets/live.js', 'text/javascript; charset=utf-8', assets.liveModule],
    ['/assets/icon.svg', 'image/svg+xml', iconSvg],
  ]
  for (const [path, type, text] of files) {
    app.get(path, (_request, reply) => reply.type(type).header('cache-control', 'max-age=60').send(text))
  }
}

function sendPage(reply: FastifyReply, page: Html): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(page.text)
}

function unavailable(reply: FastifyReply, reason: string): FastifyReply {
  return reply.code(503).send({ error: reason })
}

function isApi(request: FastifyRequest): boolean {
  return request.url.startsWith('/api/') || request.url === '/health' || request.url === '/metrics'
}

function parameter(request: FastifyRequest, name: string): string {
  const value = (request.params as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : ''
}

function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}

function jobQuestion(request: FastifyRequest): JobQuestion {
  const state = jobStates.find((one) => one === queryText(request, 'state'))
  const start = Number(queryText(request, 'start') ?? '0')
  return {
    ...(state === undefined ? {} : { state }),
    start: Number.isSafeInteger(start) && start > 0 ? start : 0,
    limit: jobsPerPage,
  }
}
