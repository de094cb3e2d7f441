import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { storyOf } from '../../shared/journal.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { findMessage } from '../../shared/spool/list-messages.ts'
import { createApp } from './app.ts'
import { readAssets } from './assets.ts'
import { registerQueueGauges } from './queue-gauges.ts'
import { isLoopback } from './security.ts'
import { createSource } from './system-source.ts'

/** Pages, JSON and metrics for the operator. Reads only. */
const dashboard: Service = { name: 'dashboard', start: startDashboard }
export default dashboard

async function startDashboard(context: ServiceContext): Promise<RunningService> {
  const { queues, spool, metrics, clock, log, dataFolder } = context
  const { host, port } = context.configuration.pipeline.dashboard
  const events = join(dataFolder, 'events')
  const source = createSource({
    get configuration() {
      return context.configuration
    },
    queues,
    clock,
    dataFolder,
    spoolFreeBytes: async () => {
      await access(spool.path, constants.W_OK | constants.X_OK)
      return spool.freeBytes()
    },
    messages: {
      find: (id) => findMessage(spool.path, id, spool.keyring),
      outcomesOf: async (id: MessageId) => (await spool.outcomesOf([id])).get(id) ?? [],
      story: (id) => storyOf(events, id),
    },
  })
  registerQueueGauges(metrics.registry, queues)
  const app = createApp({ source, registry: metrics.registry, assets: await readAssets(), clock, log, host })
  const url = await app.listen({ host, port }).catch(async (error: unknown) => {
    await app.close()
    throw cannotListen(host, port, error as NodeJS.ErrnoException)
  })
  // No sign-in yet: whoever reaches the port reads addresses and replies.
  if (!isLoopback(host)) log.warn({ url }, 'everybody who reaches the dashboard can read it: it has no sign-in yet')
  return {
    listens: [`${url} (dashboard)`],
    close: () => app.close(),
  }
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): StartError {
  const reason = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
  return new StartError(`dashboard cannot listen on ${host}:${port}: ${reason}; see 'dashboard' in pipeline.conf`, {
    cause: error,
  })
}
