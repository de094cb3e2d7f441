import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Health, Source } from './source.ts'

/**
 * Three questions, from large to small; why not is told to those who may know.
 * `GET /health`: 200 while all is well, of all services of the data folder, else 503.
 * `GET /ready`: 200 while this process can do its work, else 503.
 * `GET /alive`: 200 while this process answers.
 */
export function addHealth(
  app: FastifyInstance,
  source: Pick<Source, 'health' | 'readiness'>,
  tellsWhy: (request: FastifyRequest) => boolean,
): void {
  add('/health', () => source.health(), { yes: 'ok', no: 'failing' })
  add('/ready', () => source.readiness(), { yes: 'ready', no: 'not ready' })
  app.get('/alive', async () => ({ status: 'alive' }))

  function add(
    path: string,
    ask: () => Promise<Health>,
    { yes, no }: { readonly yes: string; readonly no: string },
  ): void {
    app.get(path, async (request, reply) => {
      const { healthy, checks } = await ask()
      const status = healthy ? yes : no
      return reply.code(healthy ? 200 : 503).send(tellsWhy(request) ? { status, checks } : { status })
    })
  }
}
