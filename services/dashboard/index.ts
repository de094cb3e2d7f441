import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { openAudit } from '../../shared/audit.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { storyOf } from '../../shared/journal.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { createOperations } from '../../shared/operate/operations.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { findMessage } from '../../shared/spool/list-messages.ts'
import { createApp } from './app.ts'
import { readAssets } from './assets.ts'
import { registerQueueGauges } from './queue-gauges.ts'
import { createFormTokens } from './form-tokens.ts'
import { Sessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import { createSource } from './system-source.ts'

/** Pages, JSON and metrics for operators. */
const dashboard: Service = { name: 'dashboard', start: startDashboard }
export default dashboard

async function startDashboard(context: ServiceContext): Promise<RunningService> {
  const { queues, spool, metrics, clock, log, dataFolder } = context
  const { host, port } = context.configuration.pipeline.dashboard
  const events = join(dataFolder, 'events')
  const messages = {
    find: (id: MessageId) => findMessage(spool.path, id, spool.keyring),
    outcomesOf: async (id: MessageId) => (await spool.outcomesOf([id])).get(id) ?? [],
  }
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
    messages: { ...messages, story: (id) => storyOf(events, id) },
  })
  registerQueueGauges(metrics.registry, queues)
  const verifier = createPasswordVerifier()
  const audit = await openAudit(dataFolder, { log, clock })
  const settings = () => context.configuration.pipeline.dashboard
  const app = createApp({
    source,
    operations: createOperations({ ...context, messages }),
    access: {
      settings,
      trustedProxies: () => context.configuration.pipeline.trustedProxies,
      signIn: createSignIn({ operators: () => settings().operators, tables: context.tables, verifier, clock, log }),
      sessions: new Sessions(clock),
      tokens: createFormTokens(),
      audit,
    },
    registry: metrics.registry,
    assets: await readAssets(),
    clock,
    log,
    host,
  })
  const close = async (): Promise<void> => {
    await app.close()
    await verifier.close()
    await audit.close()
  }
  const url = await app.listen({ host, port }).catch(async (error: unknown) => {
    await close()
    throw cannotListen(host, port, error as NodeJS.ErrnoException)
  })
  return {
    listens: [`${url} (dashboard)`],
    close,
  }
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): StartError {
  const reason = error.code === 'EADDRINUSE' ? 'the port is in use' : error.message
  return new StartError(`dashboard cannot listen on ${host}:${port}: ${reason}; see 'dashboard' in pipeline.conf`, {
    cause: error,
  })
}
