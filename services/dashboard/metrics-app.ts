import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

import { addHealth } from './health.ts'
import { securityHeaders } from './security.ts'
import type { Source } from './source.ts'

/** `metrics listen`: for machines that watch, on a port of their own; says nothing about who writes to whom. */
export function createMetricsApp({ registry, source }: { registry: Registry; source: Source }): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 })
  app.addHook('onRequest', async (_request, reply) => void reply.headers(securityHeaders))
  addMetrics(app, registry)
  addHealth(app, source, () => false)
  return app
}

export function addMetrics(app: FastifyInstance, registry: Registry): void {
  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
}
