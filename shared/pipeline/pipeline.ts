import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { Metrics } from '../metrics.ts'
import { notifyOfBadHeader } from '../notices/bad-header-notice.ts'
import { jobSchema } from '../queue/job.ts'
import type { HeldEvidence, NewJob } from '../queue/job.ts'
import { QueueUnavailableError, heldQueue } from '../queue/queues.ts'
import type { JobResult, Queues } from '../queue/queues.ts'
import type { IncomingContent, Locator, OutcomeRecord, Spool, SpooledMessage } from '../spool/spool.ts'
import { errorType, traceIdOf } from '../tracing/span.ts'
import type { Span, SpanOptions, Tracing } from '../tracing/span.ts'
import { advance } from './advance.ts'
import type { AdvanceParts } from './advance.ts'
import { carryOutEarly, decideEarly } from './before-accept.ts'
import type { EarlyDecision, Unaccepted } from './before-accept.ts'
import { jobOf, planJobs } from './plan.ts'
import type { Group, Journey } from './plan.ts'
import { createReporter } from './reporter.ts'
import { tellRoutes } from './tell-routes.ts'
import type { Expander, Readdresser } from './expander.ts'
import type { Router } from './router.ts'

/** A new message with the content of another. */
export interface Resent {
  readonly envelope: Envelope
  readonly edits: readonly HeaderEdit[]
  /** Queues visited, in order. */
  readonly path: readonly string[]
  /** Where it begins, each recipient once; none: where the rules say. */
  readonly firsts: readonly Group[]
}

/** A message that is on disk, with the envelope as operators' decisions leave it. */
export interface Requeued extends Pick<SpooledMessage, 'envelope' | 'edits' | 'locator'> {
  /** Of the last of them. */
  readonly decidedAt?: number | undefined
}

/** What a rule of the session wants instead of the first queue. */
export interface AcceptedFate {
  readonly kind: 'hold' | 'discard'
  readonly reason: string
}

/** The way into the queues. */
export interface Pipeline {
  /** Content on its way in; goes to `accept`, or is aborted. */
  receive(): IncomingContent
  /**
   * What the filter says to a message before it is accepted; `accept` carries it out. `undefined`: accept it as any other.
   * @param asking nobody waits beyond `untilAt`, epoch ms, or `signal`
   */
  decide(
    message: Unaccepted,
    asking: { readonly untilAt: number; readonly signal: AbortSignal },
  ): Promise<EarlyDecision | undefined>
  /**
   * Takes responsibility for a message: resolves when record and content are on disk (S3), then a 250 may be sent. The jobs are
   * added in the background; when Redis is away they are added when it is back.
   * With a `fate` the recipients are held or discarded from the start, which is on disk too when it resolves; with a decision the filter
   * is not asked again.
   * @throws SpoolFullError answer 452
   */
  accept(
    envelope: Envelope,
    content: IncomingContent,
    edits: readonly HeaderEdit[],
    fate?: AcceptedFate | EarlyDecision,
  ): Promise<Locator>
  /** The same for a message made here (DSN, test message), its aliases expanded. */
  submit(envelope: Envelope, content: Buffer, edits?: readonly HeaderEdit[]): Promise<Locator>
  /**
   * Takes the content of a message on disk as a new message, which begins in a queue that it passed, or where the rules begin. Resolves
   * when it is on disk. @throws SpoolReadError, SpoolFullError
   */
  resend(stored: SpooledMessage, made: Resent): Promise<Locator>
  /**
   * Adds the jobs of a message that is on disk and has none (sweeper, rebuild). The recipients a rule refuses now are failed.
   * @throws QueueUnavailableError
   */
  requeue(stored: Requeued, pending: readonly number[]): Promise<void>
  /** Puts recipients that are held back among the held jobs (rebuild). */
  rehold(stored: Requeued, held: readonly number[]): Promise<void>
  /** Messages on disk whose jobs wait for Redis. */
  readonly waiting: number
  readonly route: Router
  readonly readdress: Readdresser
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
  readonly readdress: Readdresser
  readonly spool: Spool
  readonly queues: Queues
  readonly events: Events
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: Clock
  /** Absent: tracing is off. */
  readonly tracing?: Tracing
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

function madeSpan({ id }: Envelope): SpanOptions {
  return { attributes: { 'sluice.message.id': id } }
}

function traceOf(span: Span | undefined): Pick<Envelope, 'trace'> {
  return span === undefined ? {} : { trace: span.traceParent }
}

/** The jobs as an operator finds them among the held ones. */
function asHeld(
  jobs: readonly NewJob[],
  why: (recipients: readonly number[]) => Pick<HeldEvidence, 'reason' | 'at' | 'quarantine'>,
): readonly NewJob[] {
  return jobs.map(({ queue, jobId, data }) => ({
    queue: heldQueue,
    jobId,
    data: { ...data, held: { queue, ...why(data.rcpt), starts: 0, crashes: 0 } },
  }))
}

export function openPipeline(parts: PipelineParts): Pipeline {
  const { route, spool, queues, events, metrics, log, clock, tracing } = parts
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
    rateGate: queues.rateGate,
    log,
    ...(tracing === undefined ? {} : { tracing }),
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

  async function accept(
    envelope: Envelope,
    content: IncomingContent,
    edits: readonly HeaderEdit[],
    fate?: AcceptedFate | EarlyDecision,
  ): Promise<Locator> {
    const startedAt = performance.now()
    const at = await commit(envelope, content, edits)
    metrics.acceptSeconds.observe((performance.now() - startedAt) / 1000)
    const pending = envelope.recipients.map((_, index) => index)
    const journey = { envelope, at, pending, edits, path: [] }
    if (fate?.kind === 'decided') {
      inBackground(carryOut(journey, fate))
      return at
    }
    if (fate !== undefined) await settleFate(envelope, pending, fate)
    if (fate?.kind === 'hold') inBackground(holdFirst(journey, fate.reason))
    else if (fate === undefined) inBackground(enqueue(journey))
    return at
  }

  async function commit(envelope: Envelope, content: IncomingContent, edits: readonly HeaderEdit[]): Promise<Locator> {
    const span = tracing?.join(envelope.trace, 'spool write', { attributes: { 'sluice.message.id': envelope.id } })
    try {
      return await content.commit({ envelope, edits, revision: parts.configuration.revision })
    } catch (error) {
      span?.fail(errorType(error))
      throw error
    } finally {
      span?.end()
    }
  }

  /** The log says it, not the job: it holds after the queues were rebuilt too. */
  async function settleFate(
    { id }: Envelope,
    pending: readonly number[],
    { kind, reason }: AcceptedFate,
  ): Promise<void> {
    const outcome = kind === 'hold' ? 'held' : 'discarded'
    const at = clock.now()
    await spool.settle(pending.map((recipient) => ({ id, recipient, kind: outcome, stage: 'accept', at, reason })))
    events[outcome]({ id, rcpt: pending, stage: 'accept', reason })
  }

  /** The first jobs of a message that is held from the start. Never rejects: what fails here is found again by the sweeper. */
  async function holdFirst(journey: Journey, reason: string): Promise<void> {
    try {
      const { jobs } = await planJobs(journey, route)
      await addAll(asHeld(jobs, () => ({ reason, at: clock.now() })))
    } catch (error) {
      log.error({ id: journey.envelope.id, err: error }, 'message is on disk but could not be held; the sweeper will')
    }
  }

  /** What the filter's worker would do. Never rejects: what fails here is asked again from the queue, and comes to the same end. */
  async function carryOut(journey: Journey, decision: EarlyDecision): Promise<void> {
    try {
      if (queues.tooFull) throw new QueueUnavailableError('Redis is nearly full')
      tellRoutes(parts, [decision.job], journey)
      await tellOfBadHeader(journey)
      await tellOfExpansion(journey)
      const result = await carryOutEarly({ ...advanceParts, spool }, decision, journey)
      await addAll(jobsAfter(result, decision.job))
    } catch (error) {
      const { id } = journey.envelope
      log.warn({ id, err: error }, 'what was decided before acceptance could not be carried out: it is decided again')
      await enqueue(journey)
    }
  }

  async function tellOfBadHeader({ envelope, at }: Journey): Promise<void> {
    const { configuration } = parts
    if (configuration.pipeline.notices.badHeader === undefined) return
    const stored = await spool.read(at)
    const noticed = { configuration, queues, pipeline: { submit, route }, events, clock, log }
    await notifyOfBadHeader(noticed, envelope, await stored.header())
  }

  async function tellOfExpansion({ envelope, at, edits }: Journey): Promise<void> {
    if (!envelope.recipients.some(({ expanded }) => expanded === true)) return
    const stored = await spool.read(at)
    await reporter.reportExpanded({ envelope, edits, sizeBytes: stored.locator.sizeBytes, stored })
  }

  function jobsAfter(result: JobResult, job: NewJob): readonly NewJob[] {
    switch (result.kind) {
      case 'done':
        return []
      case 'later':
        return [{ ...job, data: result.data, delayMs: result.delayMs }]
      case 'park': {
        const { data, reason, quarantine } = result
        const why = { reason, at: clock.now(), ...(quarantine === undefined ? {} : { quarantine }) }
        return asHeld([{ ...job, data }], () => why)
      }
    }
  }

  async function addAll(jobs: readonly NewJob[]): Promise<void> {
    try {
      if (queues.tooFull) throw new QueueUnavailableError('Redis is nearly full')
      await queues.add(jobs.map(atItsTime))
    } catch (error) {
      keepForLater(jobs, error as Error)
    }
  }

  async function submit(made: Envelope, content: Buffer, edits: readonly HeaderEdit[] = []): Promise<Locator> {
    const span = made.trace === undefined ? tracing?.begin('message made', madeSpan(made)) : undefined
    const envelope = { ...made, recipients: await parts.expand(made), ...traceOf(span) }
    const incoming = spool.receive()
    await incoming.write(content)
    const at = await accept(envelope, incoming, edits).finally(() => span?.end())
    const to = envelope.recipients.map(({ mailbox }) => mailbox)
    const trace = traceIdOf(envelope.trace)
    events.made({ id: envelope.id, from: envelope.reversePath, to, sizeBytes: content.length, trace })
    return at
  }

  async function resend(stored: SpooledMessage, { envelope, edits, path, firsts }: Resent): Promise<Locator> {
    const incoming = spool.receive()
    try {
      for await (const chunk of stored.stream() as AsyncIterable<Buffer>) await incoming.write(chunk)
    } catch (error) {
      await incoming.abort()
      throw error
    }
    const at = await incoming.commit({ envelope, edits, revision: parts.configuration.revision })
    const pending = [...envelope.recipients.keys()]
    const to = envelope.recipients.map(({ mailbox }) => mailbox)
    events.made({ id: envelope.id, from: envelope.reversePath, to, sizeBytes: at.sizeBytes })
    const journey = { envelope, at, pending, edits, path }
    if (firsts.length === 0) inBackground(enqueue(journey))
    else {
      const jobs = firsts.map((first) => jobOf(journey, first))
      tellRoutes(parts, jobs, journey)
      inBackground(addAll(jobs))
    }
    return at
  }

  /** First jobs of a message. Never rejects: what fails here is found again by the sweeper. */
  async function enqueue(journey: Journey): Promise<void> {
    try {
      const { jobs, refused } = await planJobs(journey, route)
      tellRoutes(parts, jobs, journey)
      await addAll(jobs)
      if (refused.length > 0) await failRefused(journey, refused)
    } catch (error) {
      log.error({ id: journey.envelope.id, err: error }, 'message is on disk but could not be queued; the sweeper will')
    }
  }

  /** The first jobs of a message that is kept back wait in their queues. */
  function atItsTime(job: NewJob): NewJob {
    const delayMs = job.data.receivedAt - clock.now()
    return delayMs > 0 && job.queue !== heldQueue ? { ...job, delayMs } : job
  }

  async function requeue(stored: Requeued, pending: readonly number[]): Promise<void> {
    const { envelope, edits, locator: at, decidedAt } = stored
    const journey: Journey = { envelope, at, pending, edits, path: [], recheck: true, decidedAt }
    const { jobs, refused } = await planJobs(journey, route)
    await queues.add(jobs.map(atItsTime))
    tellRoutes(parts, jobs, journey)
    if (refused.length > 0) await failRefused(journey, refused)
  }

  async function rehold(stored: Requeued, held: readonly number[]): Promise<void> {
    const { envelope, edits, locator: at, decidedAt } = stored
    const journey: Journey = { envelope, at, pending: held, edits, path: [], recheck: true, decidedAt }
    const { id } = envelope
    const outcomes = (await spool.outcomesOf([id])).get(id) ?? []
    const { jobs } = await planJobs(journey, route)
    await queues.add(asHeld(jobs, (recipients) => evidenceOf(outcomes, recipients, clock.now())))
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
    const job = { v: jobSchema, id, at, from, rcpt: pending, to, tags, edits, receivedAt, path: [], attempts: 0 }
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
    decide: (message, asking) =>
      decideEarly({ configuration: parts.configuration, route, queues, events, metrics, clock }, message, asking),
    accept,
    submit,
    resend,
    requeue,
    rehold,
    get waiting() {
      return backlog.length
    },
    route,
    readdress: parts.readdress,
    advanceParts,
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.all(inFlight)
    },
  }
}
