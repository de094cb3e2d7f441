import type { FastifyInstance } from 'fastify'

import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { createApp } from './app.ts'
import { createMetricsApp } from './metrics-app.ts'
import { openParts } from './open-parts.ts'

/** Pages, JSON and metrics for operators. */
const dashboard: Service = { name: 'dashboard', start: startDashboard }
export default dashboard

async function startDashboard(context: ServiceContext): Promise<RunningService> {
  const { dashboard: place, metrics: elsewhere } = context.configuration.pipeline
  const parts = await openParts(context)
  const { exposition } = parts
  const app = createApp({ ...parts.app, ...(elsewhere === undefined ? { exposition } : {}) })
  const watched = elsewhere === undefined ? undefined : createMetricsApp({ exposition, source: parts.app.source })
  const close = async (): Promise<void> => {
    await Promise.all([app.close(), watched?.close()])
    await parts.close()
  }
  try {
    const listens = [`${await listen(app, 'dashboard', place)} (dashboard)`]
    if (watched !== undefined && elsewhere !== undefined)
      listens.push(`${await listen(watched, 'metrics', elsewhere)}/metrics`)
    return { listens, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Place {
  readonly host: string
  readonly port: number
}

async function listen(app: FastifyInstance, what: 'dashboard' | 'metrics', { host, port }: Place): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'EADDRINUSE' ? 'the port is in use' : message
    throw new StartError(`${what} cannot listen on ${host}:${port}: ${reason}; see '${what}' in pipeline.conf`, {
      cause: error,
    })
  }
}
