import { join } from 'node:path'

import type { FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'

import { openAudit } from '../../shared/audit.ts'
import { viewCertificates } from '../../shared/certificate-view.ts'
import { schoolOf } from '../../shared/classifier/teach.ts'
import { createTeacher } from '../../shared/classifier/teacher.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { examine } from '../../shared/doctor/examination.ts'
import { openExaminations } from '../../shared/domains/examinations.ts'
import { viewFilters } from '../../shared/filter-tally/view.ts'
import { readHeartbeats } from '../../shared/heartbeat.ts'
import { expose, processName, readMetricsFiles } from '../../shared/metrics-files.ts'
import type { ProcessMetrics } from '../../shared/metrics-files.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { openDryRuns } from '../../shared/dry-run/dry-runs.ts'
import { openEventTail } from '../../shared/event-tail.ts'
import { sessionLogFolder } from '../../shared/session-log.ts'
import { createBulkRuns } from '../../shared/operate/bulk-runs.ts'
import { createBulkWork } from '../../shared/operate/bulk-work.ts'
import { createOperations } from '../../shared/operate/operations.ts'
import { blockFor, createQuarantine } from '../../shared/operate/quarantine.ts'
import { createSpoolLessons } from '../../shared/operate/spool-lessons.ts'
import { createLinkSigner, readLinkKey } from '../../shared/quarantine/links.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { openMessageSearch } from '../../shared/store/message-search.ts'
import { readStorePlace } from '../../shared/store/read-place.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { openWebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import { findMessage } from '../../shared/spool/list-messages.ts'
import { createApp } from './app.ts'
import { readAssets } from './assets.ts'
import { createDomainDesk } from './domain-desk.ts'
import { createFormTokens } from './form-tokens.ts'
import { registerHostGauges } from './host-gauges.ts'
import { createMetricsApp } from './metrics-app.ts'
import type { Exposition } from './metrics-app.ts'
import { registerQueueGauges } from './queue-gauges.ts'
import { createSearchCounts } from './search-counts.ts'
import { createSearchShelf } from './search-shelf.ts'
import { Sessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import { createTokenCheck } from './token-check.ts'
import type { TokenCheck } from './token-check.ts'
import { openTokenUses } from './token-uses.ts'
import type { TokenUses } from './token-uses.ts'
import { createSystemDesk } from './system-desk.ts'
import { createSource } from './system-source.ts'

/** Pages, JSON and metrics for operators. */
const dashboard: Service = { name: 'dashboard', start: startDashboard }
export default dashboard

async function startDashboard(context: ServiceContext): Promise<RunningService> {
  const { queues, spool, metrics, clock, log, dataFolder } = context
  const storePlace = await readStorePlace(context.configuration)
  const search = openMessageSearch(join(dataFolder, 'events'), storePlace)
  // Apart from the searches of those who wait.
  const counting = openMessageSearch(join(dataFolder, 'events'), storePlace)
  const messages = {
    find: (id: MessageId) => findMessage(spool.volume, id, spool.keyring),
    outcomesOf: async (id: MessageId) => (await spool.outcomesOf([id])).get(id) ?? [],
  }
  const spoolFreeBytes = async (): Promise<number> => {
    await spool.check()
    return spool.freeBytes()
  }
  const source = createSource({
    get configuration() {
      return context.configuration
    },
    queues,
    tables: context.tables,
    clock,
    dataFolder,
    eventTail: openEventTail([join(dataFolder, 'events'), sessionLogFolder(dataFolder)], () => clock.now()),
    spoolFreeBytes,
    messages: { ...messages, story: search.storyHere },
    search,
    counting,
  })
  const gauges = new Registry()
  registerQueueGauges(gauges, queues)
  registerHostGauges(gauges, {
    heartbeats: () => readHeartbeats(dataFolder, clock.now()),
    spoolFreeBytes,
    redis: () => (queues.connected ? queues.redis : undefined),
    certificates: () => viewCertificates(context.configuration),
    now: () => clock.now(),
  })
  const exposition: Exposition = {
    contentType: gauges.contentType,
    text: async () => {
      const own = {
        process: processName('dashboard'),
        metrics: (await metrics.registry.getMetricsAsJSON()) as ProcessMetrics['metrics'],
      }
      return expose([own, ...(await readMetricsFiles(dataFolder, clock.now()))]) + (await gauges.metrics())
    },
  }
  const verifier = createPasswordVerifier()
  const audit = await openAudit(dataFolder, { log, clock })
  const tokenUses = await openTokenUses(dataFolder, { clock, log })
  const settings = () => context.configuration.pipeline.dashboard
  const { dashboard: place, metrics: elsewhere } = context.configuration.pipeline
  const teacher = createTeacher({ dataFolder, school: () => schoolOf(context.configuration), log })
  const lessons = createSpoolLessons({
    messages: { find: messages.find, story: search.story },
    teach: (content, lesson) => teacher.teach(content, lesson),
  })
  const examinations = openExaminations({
    dataFolder,
    clock,
    examine: (domain, signal) => examine(context.configuration, domain, { signal }),
  })
  const domains = createDomainDesk({
    get configuration() {
      return context.configuration
    },
    tables: context.tables,
    examinations,
    dataFolder,
    clock,
  })
  const system = createSystemDesk({
    get configuration() {
      return context.configuration
    },
    tables: context.tables,
    dataFolder,
    spool,
    redis: () => (queues.connected ? queues.redis : undefined),
    storePlace,
    audit,
    tokenUses,
    clock,
  })
  const delimiter = (): string => context.configuration.subAddressDelimiter
  const operating = {
    ...context,
    get configuration() {
      return context.configuration
    },
    messages: { ...messages, story: search.story },
    lessons,
    delimiter,
  }
  const runs = createBulkRuns({ dataFolder, clock, audit, bulk: createBulkWork(operating), choose: search.choose })
  const dryRuns = openDryRuns({ live: context.live, folder: join(dataFolder, 'events'), clock })
  const shelf = createSearchShelf(dataFolder, createSearchCounts(counting.count, clock))
  const webhooks = openWebhookDesk({
    get configuration() {
      return context.configuration
    },
    resolver: context.resolver,
    clock,
    dataFolder,
  })
  const app = createApp({
    source,
    shelf,
    operations: createOperations(operating),
    runs,
    dryRuns,
    teacher,
    domains,
    webhooks,
    system,
    filters: (days) => viewFilters(dataFolder, context.configuration, days, clock.now()),
    desk: {
      quarantine: createQuarantine(context),
      lessons,
      signer: async () => createLinkSigner(await readLinkKey(dataFolder)),
      block: ({ from, mailbox }, by) =>
        blockFor({ dataFolder, from, recipients: [mailbox], delimiter: delimiter(), at: clock.now(), by }),
    },
    access: {
      settings,
      trustedProxies: () => context.configuration.pipeline.trustedProxies,
      signIn: createSignIn({ operators: () => settings().operators, tables: context.tables, verifier, clock, log }),
      sessions: new Sessions(clock),
      tokens: createFormTokens(),
      checkToken: noting(
        createTokenCheck(() => settings().tokens, context.tables),
        tokenUses,
      ),
      audit,
    },
    ...(elsewhere === undefined ? { exposition } : {}),
    assets: await readAssets(),
    clock,
    log,
    host: place.host,
  })
  const watched = elsewhere === undefined ? undefined : createMetricsApp({ exposition, source })
  const close = async (): Promise<void> => {
    await Promise.all([app.close(), watched?.close(), runs.close(), dryRuns.close()])
    await webhooks.close()
    await examinations.close()
    await search.close()
    await counting.close()
    await teacher.close()
    await verifier.close()
    await audit.close()
    await tokenUses.close()
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

/** Each token that is good is noted. */
function noting(check: TokenCheck, uses: TokenUses): TokenCheck {
  return async (token) => {
    const found = await check(token)
    if (found !== undefined) uses.note(found.name)
    return found
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
