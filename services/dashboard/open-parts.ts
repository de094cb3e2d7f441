import { join } from 'node:path'

import { Registry } from 'prom-client'

import { openAudit } from '../../shared/audit.ts'
import type { Audit } from '../../shared/audit.ts'
import { viewCertificates } from '../../shared/certificate-view.ts'
import { schoolOf } from '../../shared/classifier/teach.ts'
import { createTeacher } from '../../shared/classifier/teacher.ts'
import type { Teacher } from '../../shared/classifier/teacher.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import type { PasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { examine } from '../../shared/doctor/examination.ts'
import { openExaminations } from '../../shared/domains/examinations.ts'
import { openDryRuns } from '../../shared/dry-run/dry-runs.ts'
import { openEventTail } from '../../shared/event-tail.ts'
import { viewFilters } from '../../shared/filter-tally/view.ts'
import { readHeartbeats } from '../../shared/heartbeat.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { expose, processName, readMetricsFiles } from '../../shared/metrics-files.ts'
import type { ProcessMetrics } from '../../shared/metrics-files.ts'
import { createBulkRuns } from '../../shared/operate/bulk-runs.ts'
import { createBulkWork } from '../../shared/operate/bulk-work.ts'
import { createOperations } from '../../shared/operate/operations.ts'
import type { OperationParts } from '../../shared/operate/operations.ts'
import { blockFor, createQuarantine } from '../../shared/operate/quarantine.ts'
import { createSpoolLessons } from '../../shared/operate/spool-lessons.ts'
import { createLinkSigner, readLinkKey } from '../../shared/quarantine/links.ts'
import type { RedisReport } from '../../shared/queue/check-redis.ts'
import type { MessageSources } from '../../shared/report/message-view.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { sessionLogFolder } from '../../shared/session-log.ts'
import { findMessage } from '../../shared/spool/list-messages.ts'
import { openMessageSearch } from '../../shared/store/message-search.ts'
import type { MessageSearch } from '../../shared/store/message-search.ts'
import { readStorePlace } from '../../shared/store/read-place.ts'
import type { StorePlace } from '../../shared/store/store-place.ts'
import { openWebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import type { AppParts } from './app.ts'
import { readAssets } from './assets.ts'
import { createDomainDesk } from './domain-desk.ts'
import { createFormTokens } from './form-tokens.ts'
import { registerHostGauges } from './host-gauges.ts'
import type { Exposition } from './metrics-app.ts'
import type { QuarantineDesk } from './quarantine-links.ts'
import { registerQueueGauges } from './queue-gauges.ts'
import { createSearchCounts } from './search-counts.ts'
import { createSearchShelf } from './search-shelf.ts'
import { Sessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import type { Source } from './source.ts'
import { createSystemDesk } from './system-desk.ts'
import { createSource } from './system-source.ts'
import { createTokenCheck } from './token-check.ts'
import type { TokenCheck } from './token-check.ts'
import { openTokenUses } from './token-uses.ts'
import type { TokenUses } from './token-uses.ts'

/** What pages, API and metrics are made of. */
export interface OpenedParts {
  readonly app: Omit<AppParts, 'exposition'>
  readonly exposition: Exposition
  /** When nobody asks any more. */
  close(): Promise<void>
}

export async function openParts(context: ServiceContext): Promise<OpenedParts> {
  const { dataFolder, clock, log, tables, spool, resolver, live } = context
  const reading = await openReading(context)
  const { source, search, counting, storePlace } = reading
  const verifier = createPasswordVerifier()
  const audit = await openAudit(dataFolder, { log, clock })
  const tokenUses = await openTokenUses(dataFolder, { clock, log })
  const teacher = createTeacher({ dataFolder, school: () => schoolOf(context.configuration), log })
  const operating = operatingParts(context, reading, teacher)
  const examinations = openExaminations({
    dataFolder,
    clock,
    examine: (domain, signal) => examine(context.configuration, domain, { signal }),
  })
  const runs = createBulkRuns({ dataFolder, clock, audit, bulk: createBulkWork(operating), choose: search.choose })
  const dryRuns = openDryRuns({ live, folder: join(dataFolder, 'events'), clock })
  const webhooks = openWebhookDesk(inForce(context, { resolver, clock, dataFolder }))
  const redis = redisOf(context)
  const app = {
    source,
    shelf: createSearchShelf(dataFolder, createSearchCounts(counting.count, clock)),
    operations: createOperations(operating),
    runs,
    dryRuns,
    teacher,
    domains: createDomainDesk(inForce(context, { tables, examinations, dataFolder, clock })),
    webhooks,
    system: createSystemDesk(
      inForce(context, { tables, dataFolder, spool, redis, storePlace, audit, tokenUses, clock }),
    ),
    filters: (days: number) => viewFilters(dataFolder, context.configuration, days, clock.now()),
    desk: quarantineDesk(context, operating),
    access: accessParts(context, { verifier, audit, tokenUses }),
    assets: await readAssets(),
    clock,
    log,
    host: context.configuration.pipeline.dashboard.host,
  }
  return {
    app,
    exposition: openExposition(context, reading),
    async close() {
      await Promise.all([runs.close(), dryRuns.close()])
      await webhooks.close()
      await examinations.close()
      await search.close()
      await counting.close()
      await teacher.close()
      await verifier.close()
      await audit.close()
      await tokenUses.close()
    },
  }
}

/** What is read of spool, queues and message store. */
interface Reading {
  readonly source: Source
  readonly storePlace: StorePlace
  readonly search: MessageSearch
  /** Apart from the searches of those who wait. */
  readonly counting: MessageSearch
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf'>
  spoolFreeBytes(): Promise<number>
}

async function openReading(context: ServiceContext): Promise<Reading> {
  const { queues, spool, tables, clock, dataFolder } = context
  const events = join(dataFolder, 'events')
  const storePlace = await readStorePlace(context.configuration)
  const [search, counting] = [openMessageSearch(events, storePlace), openMessageSearch(events, storePlace)]
  const messages = {
    find: (id: MessageId) => findMessage(spool.volume, id, spool.keyring),
    outcomesOf: async (id: MessageId) => (await spool.outcomesOf([id])).get(id) ?? [],
  }
  const spoolFreeBytes = async (): Promise<number> => {
    await spool.check()
    return spool.freeBytes()
  }
  const source = createSource(
    inForce(context, {
      queues,
      tables,
      clock,
      dataFolder,
      eventTail: openEventTail([events, sessionLogFolder(dataFolder)], () => clock.now()),
      spoolFreeBytes,
      messages: { ...messages, story: search.storyHere },
      search,
      counting,
    }),
  )
  return { source, storePlace, search, counting, messages, spoolFreeBytes }
}

function operatingParts(context: ServiceContext, { messages, search }: Reading, teacher: Teacher): OperationParts {
  const found = { ...messages, story: search.story }
  const lessons = createSpoolLessons({
    messages: found,
    teach: (content, lesson) => teacher.teach(content, lesson),
  })
  const delimiter = (): string => context.configuration.subAddressDelimiter
  return inForce(context, { ...context, messages: found, lessons, delimiter })
}

function quarantineDesk(context: ServiceContext, { lessons, delimiter }: OperationParts): QuarantineDesk {
  const { dataFolder, clock } = context
  return {
    quarantine: createQuarantine(context),
    lessons,
    signer: async () => createLinkSigner(await readLinkKey(dataFolder)),
    block: ({ from, mailbox }, by) =>
      blockFor({ dataFolder, from, recipients: [mailbox], delimiter: delimiter(), at: clock.now(), by }),
  }
}

function accessParts(
  context: ServiceContext,
  opened: { readonly verifier: PasswordVerifier; readonly audit: Audit; readonly tokenUses: TokenUses },
): AppParts['access'] {
  const { tables, clock, log } = context
  const { verifier, audit, tokenUses } = opened
  const settings = () => context.configuration.pipeline.dashboard
  return {
    settings,
    trustedProxies: () => context.configuration.pipeline.trustedProxies,
    signIn: createSignIn({ operators: () => settings().operators, tables, verifier, clock, log }),
    sessions: new Sessions(clock),
    tokens: createFormTokens(),
    checkToken: noting(
      createTokenCheck(() => settings().tokens, tables),
      tokenUses,
    ),
    audit,
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

/** What all processes count, and what is measured when it is asked for. */
function openExposition(context: ServiceContext, { spoolFreeBytes }: Reading): Exposition {
  const { queues, metrics, clock, dataFolder } = context
  const gauges = new Registry()
  registerQueueGauges(gauges, queues)
  registerHostGauges(gauges, {
    heartbeats: () => readHeartbeats(dataFolder, clock.now()),
    spoolFreeBytes,
    redis: redisOf(context),
    certificates: () => viewCertificates(context.configuration),
    now: () => clock.now(),
  })
  return {
    contentType: gauges.contentType,
    text: async () => {
      const own = {
        process: processName('dashboard'),
        metrics: (await metrics.registry.getMetricsAsJSON()) as ProcessMetrics['metrics'],
      }
      return expose([own, ...(await readMetricsFiles(dataFolder, clock.now()))]) + (await gauges.metrics())
    },
  }
}

function redisOf({ queues }: ServiceContext): () => RedisReport | undefined {
  return () => (queues.connected ? queues.redis : undefined)
}

type InForce = Pick<ServiceContext, 'configuration'>

/** The parts, and the configuration in force whenever it is read. */
function inForce<Parts extends object>(context: InForce, parts: Parts): Parts & InForce {
  return Object.defineProperty({ ...parts, configuration: context.configuration }, 'configuration', {
    get: () => context.configuration,
    enumerable: true,
  })
}
