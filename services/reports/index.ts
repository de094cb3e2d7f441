import { onReload } from '../../shared/config/live-configuration.ts'
import type { Configuration, QueueSettings } from '../../shared/config/model.ts'
import { discard, pass } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { tag } from '../../shared/mail/tag.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { ReceivedReport } from '../../shared/received-reports/model.ts'
import { keepReport, receivedReportsFolder } from '../../shared/received-reports/store.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { workerFile } from '../../shared/workers/start-worker.ts'
import { ThreadLimitError, createWorkerPool, ownCopy } from '../../shared/workers/worker-pool.ts'
import type { WorkerPool } from '../../shared/workers/worker-pool.ts'
import type { FoundReports, ReportContent } from './read-reports.ts'
import { reportMailOf } from './report-mail.ts'

const queue = 'reports'
/** Beside the queue's own, on mail in which nothing could be read: rules may send it elsewhere. */
const unparsed = tag('Unparsed')
/** No report comes in more: its mail is not read. */
const mostMailBytes = 32 * 1024 * 1024
/** Time for one message in a thread: the largest report there is takes a second. */
const wallMs = 20_000

/**
 * Keeps what is reported to us for the dashboard: DMARC (RFC 7489), TLS (RFC 8460), complaints and failures (RFC 5965, RFC 6591). Works
 * as long as pipeline.conf has the queue `reports`, and costs nothing else.
 */
const reports: Service = { name: 'reports', start: startWithQueue }
export default reports

const stage = defineStage({ name: 'reports', queue, open: async (context) => openReports(context) })

async function startWithQueue(context: ServiceContext): Promise<RunningService> {
  let running: RunningService | undefined
  let starting: Promise<void> = Promise.resolve()
  let trouble: readonly string[] = []
  const startFor = ({ pipeline }: Configuration): Promise<void> => {
    starting = starting
      .catch(() => undefined)
      .then(async () => {
        if (running === undefined && pipeline.queues.has(queue)) running = await stage.start(context)
      })
    return starting
  }
  await startFor(context.configuration)
  const unfollow = onReload(context.live, (next) => {
    startFor(next).catch((error: unknown) => {
      trouble = [`the queue ${queue} is not worked on: ${(error as Error).message}`]
    })
  })
  return {
    health: async () => [...trouble, ...((await running?.health?.()) ?? [])],
    lastJobAt: () => running?.lastJobAt?.(),
    work: () => running?.work?.(),
    async close() {
      unfollow()
      await starting.catch(() => undefined)
      await running?.close()
    },
  }
}

type ReaderPool = WorkerPool<Uint8Array, FoundReports>

export function openReports(context: ServiceContext): OpenStage {
  const folder = receivedReportsFolder(context.dataFolder)
  const pool: ReaderPool = createWorkerPool({
    file: workerFile('./report-worker.ts', import.meta.url),
    threads: 1,
    wallMs,
  })
  return {
    handle: (message, stageContext) => keepReports(message, stageContext, { folder, pool }),
    close: () => pool.close(),
  }
}

interface Place {
  readonly folder: string
  readonly pool: ReaderPool
}

/** Whatever the message is, it goes on: what cannot be read would not become readable by waiting. */
async function keepReports(message: StageMessage, context: StageContext, place: Place): Promise<Disposition> {
  const { id } = message.envelope
  const { events, configuration } = context
  const { pipeline, authservId } = configuration
  const { reports, faults } = await readIn(message, context, place.pool)
  const mail = await reportMailOf(message, authservId)
  for (const content of reports) {
    const report: ReceivedReport = { ...content, receivedAt: message.envelope.receivedAt, message: id, mail }
    const kept = await keepReport(place.folder, report)
    events.reportReceived({ id, ...toldOf(content), kept, mail: mail.domain, dmarc: mail.dmarc })
  }
  for (const reason of faults) events.reportUnreadable({ id, reason })
  const passed = tagOf(pipeline.queues.get(queue))
  if (reports.length === 0) return pass(passed, [], [unparsed])
  return pipeline.receivedReports.mail === 'discard' ? discard('its report is kept') : pass(passed)
}

async function readIn(
  { stored, sizeBytes }: StageMessage,
  { signal }: StageContext,
  pool: ReaderPool,
): Promise<FoundReports> {
  if (sizeBytes > mostMailBytes) return { reports: [], faults: [`the mail has more than ${mostMailBytes} octets`] }
  const content = ownCopy(await stored.content())
  try {
    return await pool.run(content, { signal, transfer: [content.buffer] })
  } catch (error) {
    if (!(error instanceof ThreadLimitError)) throw error
    return { reports: [], faults: [`reading it takes too much: ${error.message}`] }
  }
}

/** What the story says of a report. */
function toldOf(content: ReportContent): { readonly kind: string; readonly org: string; readonly about: string } {
  const { kind, org } = content
  switch (content.kind) {
    case 'dmarc':
      return { kind, org, about: content.domain }
    case 'tls':
      return { kind, org, about: [...new Set(content.policies.map(({ domain }) => domain))].slice(0, 5).join(' ') }
    case 'abuse':
      return { kind: content.type, org, about: content.domain ?? content.sourceIp ?? 'a message' }
  }
}

function tagOf(settings: QueueSettings | undefined): ReturnType<typeof tag> {
  return tag(settings?.tag ?? 'Reports')
}
