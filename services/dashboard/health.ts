import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Source } from './source.ts'

/** `GET /health`: 200 while all is well, else 503; why not is told to those who may know. */
export function addHealth(
  app: FastifyInstance,
  source: Pick<Source, 'health'>,
  tellsWhy: (request: FastifyRequest) => boolean,
): void {
  app.get('/health', async (request, reply) => {
    const { healthy, checks } = await source.health()
    const status = healthy ? 'ok' : 'failing'
    return reply.code(healthy ? 200 : 503).send(tellsWhy(request) ? { status, checks } : { status })
  })
}
