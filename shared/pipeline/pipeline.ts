import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { Metrics } from '../metrics.ts'
import type { HeldEvidence, NewJob } from '../queue/job.ts'
import { QueueUnavailableError, heldQueue } from '../queue/queues.ts'
import type { Queues } from '../queue/queues.ts'
import type { IncomingContent, Locator, OutcomeRecord, Spool, SpooledMessage } from '../spool/spool.ts'
import { advance } from './advance.ts'
import type { AdvanceParts } from './advance.ts'
import { planJobs } from './plan.ts'
import type { Journey } from './plan.ts'
import { createReporter } from './reporter.ts'
import type { Expander } from './expander.ts'
import type { Router } from './router.ts'

/** The way into the queues. */
export interface Pipeline {
  /** Content on its way in; goes to `accept`, or is aborted. */
  receive(): IncomingContent
  /**
   * Takes responsibility for a message: resolves when record and content are on disk (S3), then a 250 may be sent. The jobs are
   * added in the background; when Redis is away they are added when it is back.
   * @throws SpoolFullError answer 452
   */
  accept(envelope: Envelope, content: IncomingContent, edits: readonly HeaderEdit[]): Promise<Locator>
  /** The same for a message made here (DSN, test message), its aliases expanded. */
  submit(envelope: Envelope, content: Buffer, edits?: readonly HeaderEdit[]): Promise<Locator>
  /**
   * Adds the jobs of a message that is on disk and has none (sweeper, rebuild). The recipients a rule refuses now are failed.
   * @throws QueueUnavailableError
   */
  requeue(stored: SpooledMessage, pending: readonly number[]): Promise<void>
  /** Puts recipients that are held back among the held jobs (rebuild). */
  rehold(stored: SpooledMessage, held: readonly number[]): Promise<void>
  /** Messages on disk whose jobs wait for Redis. */
  readonly waiting: number
  readonly route: Router
  /** What a stage needs to carry out its dispositions. */
  readonly advanceParts: AdvanceParts
  /** Waits for the adds in flight; what cannot be added stays in the spool for the sweeper. */
  close(): Promise<void>
}

export interface PipelineParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly route: Router
  readonly expand: Expander
  readonly spool: Spool
  readonly queues: Queues
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: Clock
}

const retryBacklogMs = 1_000
/** Beyond this many, messages without a job are left to the sweeper, which finds them in the spool. */
const maxBacklog = 100_000
const backlogBatch = 500

/** Why and since when the log says these recipients are held. */
function evidenceOf(
  outcomes: readonly OutcomeRecord[],
  recipients: readonly number[],
  nowAt: number,
): Pick<HeldEvidence, 'reason' | 'at' | 'quarantine'> {
  const last = outcomes.findLast(({ kind, recipient }) => kind === 'held' && recipients.includes(recipient))
  return {
    reason: last?.reason ?? 'held before the queues were rebuilt',
    at: last?.at ?? nowAt,
    ...(last?.quarantine === undefined ? {} : { quarantine: last.quarantine }),
  }
}

export function openPipeline(parts: PipelineParts): Pipeline {
  const { route, spool, queues, events, metrics, log, clock } = parts
  const backlog: NewJob[] = []
  const inFlight = new Set<Promise<void>>()
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const reporter = createReporter({
    get configuration() {
      return parts.configuration
    },
    events,
    clock,
    submit,
    log,
  })
  const advanceParts: AdvanceParts = {
    get configuration() {
      return parts.configuration
    },
    route,
    spool,
    queues,
    reporter,
    events,
    clock,
    spread: Math.random,
  }

  async function accept(envelope: Envelope, content: IncomingContent, edits: readonly HeaderEdit[]): Promise<Locator> {
    const startedAt = performance.now()
    const at = await content.commit({ envelope, edits, revision: parts.configuration.revision })
    metrics.acceptSeconds.observe((performance.now() - startedAt) / 1000)
    inBackground(enqueue({ envelope, at, pending: envelope.recipients.map((_, index) => index), edits, path: [] }))
    return at
  }

  async function submit(made: Envelope, content: Buffer, edits: readonly HeaderEdit[] = []): Promise<Locator> {
    const envelope = { ...made, recipients: await parts.expand(made) }
    const incoming = spool.receive()
    await incoming.write(content)
    return accept(envelope, incoming, edits)
  }

  /** First jobs of a message. Never rejects: what fails here is found again by the sweeper. */
  async function enqueue(journey: Journey): Promise<void> {
    try {
      const { jobs, refused } = await planJobs(journey, route)
      tellRoutes(journey, jobs)
      try {
        if (queues.tooFull) throw new QueueUnavailableError('Redis is nearly full')
        await queues.add(jobs.map(atItsTime))
      } catch (error) {
        keepForLater(jobs, error as Error)
      }
      if (refused.length > 0) await failRefused(journey, refused)
    } catch (error) {
      log.error({ id: journey.envelope.id, err: error }, 'message is on disk but could not be queued; the sweeper will')
    }
  }

  /** The first jobs of a message that is kept back wait in their queues. */
  function atItsTime(job: NewJob): NewJob {
    const delayMs = job.data.receivedAt - clock.now()
    return delayMs > 0 ? { ...job, delayMs } : job
  }

  async function requeue(stored: SpooledMessage, pending: readonly number[]): Promise<void> {
    const { envelope, edits, locator: at } = stored
    const journey: Journey = { envelope, at, pending, edits, path: [], recheck: true }
    const { jobs, refused } = await planJobs(journey, route)
    await queues.add(jobs.map(atItsTime))
    tellRoutes(journey, jobs)
    if (refused.length > 0) await failRefused(journey, refused)
  }

  async function rehold(stored: SpooledMessage, held: readonly number[]): Promise<void> {
    const journey: Journey = { ...stored, at: stored.locator, pending: held, path: [], recheck: true }
    const { id } = stored.envelope
    const outcomes = (await spool.outcomesOf([id])).get(id) ?? []
    const { jobs } = await planJobs(journey, route)
    await queues.add(
      jobs.map(({ queue, jobId, data }) => ({
        queue: heldQueue,
        jobId,
        data: { ...data, held: { queue, ...evidenceOf(outcomes, data.rcpt, clock.now()), starts: 0, crashes: 0 } },
      })),
    )
  }

  function tellRoutes(journey: Journey, jobs: readonly (NewJob & { readonly rule: string })[]): void {
    const { id, tags } = journey.envelope
    for (const { data, queue, rule } of jobs) events.routed({ id, to: data.to, rule, queue, action: data.action, tags })
  }

  /** The rules refuse recipients they accepted at RCPT (a reload between): those fail like any other. */
  async function failRefused(
    journey: Journey,
    refused: Awaited<ReturnType<typeof planJobs>>['refused'],
  ): Promise<void> {
    const { envelope, at, edits } = journey
    const stored = await spool.read(at)
    const pending = refused.map(({ recipient }) => recipient)
    const attempts = refused.map(({ recipient, reply }) => ({ recipient, reply, reached: 'local' as const }))
    const message = { envelope, pending, edits, sizeBytes: at.sizeBytes, stored, attempts: 0 }
    const to = pending
      .map((recipient) => envelope.recipients[recipient]?.mailbox)
      .filter((mailbox) => mailbox !== undefined)
    const { id, reversePath: from, tags, receivedAt } = envelope
    const job = { v: 1 as const, id, at, from, rcpt: pending, to, tags, edits, receivedAt, path: [], attempts: 0 }
    await advance(advanceParts, { queue: 'accept', job, message, tookMs: 0 }, { kind: 'settled', attempts })
  }

  function keepForLater(jobs: readonly NewJob[], error: Error): void {
    if (backlog.length === 0) log.warn({ err: error }, 'queue is away: mail is accepted and waits on disk')
    if (backlog.length + jobs.length <= maxBacklog) backlog.push(...jobs)
    metrics.waitingForQueue.set(backlog.length)
    timer ??= setTimeout(() => inBackground(retryBacklog()), retryBacklogMs)
  }

  async function retryBacklog(): Promise<void> {
    timer = undefined
    while (backlog.length > 0 && !closed) {
      const batch = backlog.slice(0, backlogBatch)
      try {
        if (queues.tooFull) throw new QueueUnavailableError('Redis is nearly full')
        await queues.add(batch.map(atItsTime))
      } catch {
        timer = setTimeout(() => inBackground(retryBacklog()), retryBacklogMs)
        return
      }
      backlog.splice(0, batch.length)
      metrics.waitingForQueue.set(backlog.length)
      if (backlog.length === 0) log.info({}, 'queue is back: all mail on disk is queued')
    }
  }

  function inBackground(work: Promise<void>): void {
    inFlight.add(work)
    void work.finally(() => inFlight.delete(work))
  }

  return {
    receive: () => spool.receive(),
    accept,
    submit,
    requeue,
    rehold,
    get waiting() {
      return backlog.length
    },
    route,
    advanceParts,
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.all(inFlight)
    },
  }
}
