import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'

import { addHealth } from './health.ts'
import { securityHeaders } from './security.ts'
import type { Source } from './source.ts'

/** `metrics listen`: for machines that watch, on a port of their own; says nothing about who writes to whom. */
export function createMetricsApp({ exposition, source }: { exposition: Exposition; source: Source }): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 })
  app.addHook('onRequest', async (_request, reply) => void reply.headers(securityHeaders))
  addMetrics(app, exposition)
  addHealth(app, source, () => false)
  return app
}

/** The text of all metrics, and its media type. */
export interface Exposition {
  readonly contentType: string
  text(): Promise<string>
}

export function addMetrics(app: FastifyInstance, { contentType, text }: Exposition): void {
  app.get('/metrics', async (_request, reply) => reply.type(contentType).send(await text()))
}
