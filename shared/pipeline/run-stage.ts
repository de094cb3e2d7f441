import { onReload } from '../config/live-configuration.ts'
import type { Configuration } from '../config/model.ts'
import { withinTime } from '../deadline.ts'
import { notifyOfBadHeader } from '../notices/bad-header-notice.ts'
import { reject } from '../mail/disposition.ts'
import type { Disposition } from '../mail/disposition.ts'
import type { Reply } from '../mail/reply.ts'
import type { Question, StageJob } from '../queue/job.ts'
import { RateMeter } from '../rate-meter.ts'
import type { Answer, JobControl, JobResult } from '../queue/queues.ts'
import type { RunningService, ServiceContext } from '../service.ts'
import { lastDecisionAt, withDecisions } from '../spool/decisions.ts'
import { SpoolReadError, isFinal } from '../spool/spool.ts'
import type { OutcomeRecord, SpooledMessage } from '../spool/spool.ts'
import { advance, planAnew } from './advance.ts'
import { afterFailure } from './after-failure.ts'
import { isCarriedOutIn } from './carried-out.ts'
import { listenedEvents } from './listened-events.ts'
import { mailboxOf } from './plan.ts'
import { sevenBitView } from './seven-bit-view.ts'
import { inStageSpan } from './stage-span.ts'
import type { HandleMessage, OpenStage, StageDefinition, StageMessage } from './stage.ts'

/** Takes messages from the stage's queue, hands each to the stage and carries out what it decides. */
export async function runStage(definition: StageDefinition, context: ServiceContext): Promise<RunningService> {
  const queue = definition.queue ?? definition.name
  const stage = await openStage(definition, context)
  const concurrencyIn = ({ pipeline }: Configuration): number => pipeline.queues.get(queue)?.concurrency ?? 20
  const meter = new RateMeter(() => context.clock.now())
  const worker = context.queues.work(queue, {
    concurrency: concurrencyIn(context.configuration),
    handler: async (job, control) => {
      const startedAt = performance.now()
      try {
        return await handleJob({ queue, handle: stage.handle, context, definition }, job, control)
      } finally {
        meter.took(performance.now() - startedAt)
      }
    },
    onPoison: (job, reason) => logHeld(context, queue, job, reason),
  })
  const unfollow = onReload(context.live, (next) => worker.setConcurrency(concurrencyIn(next)))
  return {
    health: async () => (await stage.health?.()) ?? [],
    lastJobAt: () => worker.lastTakenAt,
    work: () => ({
      queue,
      handlers: concurrencyIn(context.configuration),
      busy: worker.running,
      done: meter.figures(),
    }),
    async close() {
      unfollow()
      await worker.close()
      await stage.close()
    },
  }
}

interface Running {
  readonly queue: string
  readonly handle: HandleMessage
  readonly context: ServiceContext
  readonly definition: StageDefinition
}

async function openStage(definition: StageDefinition, context: ServiceContext): Promise<OpenStage> {
  if (definition.open !== undefined) return definition.open(context)
  const { handle } = definition
  if (handle === undefined) throw new TypeError(`stage ${definition.name} has neither 'handle' nor 'open'`)
  return { handle, close: async () => {} }
}

/**
 * On disk before the job is held: when Redis is emptied, what killed its workers is held again and not tried. Does not touch the message,
 * which may be what they died of.
 */
async function logHeld(context: ServiceContext, queue: string, job: StageJob, reason: string): Promise<void> {
  const { clock, events, spool } = context
  const pending = stillPending(job, await outcomesOf(context, job))
  const at = clock.now()
  await spool.settle(pending.map((recipient) => ({ id: job.id, recipient, kind: 'held', stage: queue, at, reason })))
  events.held({ id: job.id, rcpt: pending, stage: queue, reason })
}

async function handleJob(running: Running, job: StageJob, control: JobControl): Promise<JobResult> {
  const { context, queue } = running
  if (control.waitedMs !== undefined) context.metrics.waitSeconds.observe({ queue }, control.waitedMs / 1000)
  if (job.question !== undefined) return answerQuestion(running, job, job.question, control)
  const readsLog = job.recheck === true || job.decidedAt !== undefined || control.starts > 1
  const outcomes = readsLog ? await outcomesOf(context, job) : []
  const pending = stillPending(job, outcomes)
  if (pending.length === 0) return { kind: 'done' }
  const kept = keptBack(pending, outcomes)
  if (kept !== undefined) return { kind: 'park', data: job, ...kept }
  const record = await readRecord(context, job)
  if (record instanceof SpoolReadError) return parkDamaged(running, job, record)
  const stored = job.edits.some(({ kind }) => kind === 'seven-bit') ? await sevenBitView(record) : record

  const message = {
    ...stageMessage(job, pending, stored),
    envelope: { ...withDecisions(stored.envelope, outcomes), tags: job.tags },
    ...(control.behind ? { behind: true as const } : {}),
    ...(isReleased(queue, pending, outcomes) ? { released: true as const } : {}),
  }
  if (job.returned === true)
    return advance(context.pipeline.advanceParts, { queue, job, message, tookMs: 0 }, reject(returnedEarly(job)))
  const { configuration } = context
  const why = outdated(running, job, lastDecisionAt(outcomes, pending))
  if (why !== undefined) {
    const decidedAt = lastDecisionAt(outcomes, pending)
    return planAnew(
      context.pipeline.advanceParts,
      { queue, job, message, tookMs: 0 },
      { jobId: control.jobId, reason: why, decidedAt },
    )
  }
  const isFirst = job.path.length === 0 && job.attempts === 0 && control.starts === 1
  if (isFirst && configuration.pipeline.notices.badHeader !== undefined)
    await notifyOfBadHeader(context, stored.envelope, await stored.header())
  if (isBeginning(job, control)) await context.pipeline.advanceParts.reporter.reportExpanded(message)
  if (control.brokenOff) tellOfRepetition(running, message)
  const startedAt = performance.now()
  const disposition = await disposeOf(running, message, control)
  const tookMs = Math.round((performance.now() - startedAt) * 1000) / 1000
  context.metrics.stageSeconds.observe({ stage: queue }, tookMs / 1000)
  return advance(context.pipeline.advanceParts, { queue, job, message, tookMs }, disposition)
}

/** Nothing was done for the message yet, or nobody knows whether it was: what is done now has the same effect twice. */
function isBeginning(job: StageJob, control: JobControl): boolean {
  const untried = job.path.length === 0 && job.attempts === 0 && job.recheck !== true
  return untried && (control.starts === 1 || control.brokenOff)
}

/** At least once, and never silently twice: nobody knows whether the next hop took what was sent before the attempt broke off. */
function tellOfRepetition({ context, definition, queue }: Running, message: StageMessage): void {
  if (definition.mayRepeat?.(message, context) !== true) return
  const { envelope, pending } = message
  const to = pending.map((recipient) => mailboxOf(envelope, recipient))
  context.events.mayRepeat({ id: envelope.id, stage: queue, to })
}

/**
 * Tells whoever asks what the stage decides, and does nothing about it. Once: of a question that was started before nobody knows whether
 * its worker died of it. One that nobody waits for any longer is dropped.
 */
async function answerQuestion(
  running: Running,
  job: StageJob,
  question: Question,
  control: JobControl,
): Promise<JobResult> {
  const { context, queue } = running
  const leftMs = question.untilAt - context.clock.now()
  if (leftMs <= 0) return { kind: 'done' }
  const answer: Answer =
    control.starts > 1
      ? { kind: 'none', reason: `${queue} broke off` }
      : question.dry === true
        ? await wouldDecide(running, job, control.signal, leftMs)
        : await decisionOn(running, job, control, leftMs)
  await context.queues.questions
    .answer(question, control.jobId, answer)
    .catch((error: unknown) => context.log.debug({ id: job.id, err: error }, 'an answer did not arrive'))
  return { kind: 'done' }
}

async function decisionOn(
  { context, handle, queue }: Running,
  job: StageJob,
  { signal, span }: JobControl,
  leftMs: number,
): Promise<Answer> {
  const stop = context.metrics.stageSeconds.startTimer({ stage: queue })
  try {
    const stored = await context.spool.read(job.at)
    const message = { ...stageMessage(job, job.rcpt, stored), beforeAccept: true as const }
    const timeoutMs = Math.min(leftMs, timeoutOf(context, queue))
    const disposition = await inStageSpan(span, message, queue, (within) =>
      withinTime(signal, timeoutMs, 'no decision', (limited) =>
        handle(message, { ...context, ...within, signal: limited }),
      ),
    )
    return { kind: 'decided', disposition }
  } catch (error) {
    context.log.warn({ id: job.id, stage: queue, err: error }, 'stage failed before acceptance')
    return { kind: 'none', reason: (error as Error).message }
  } finally {
    stop()
  }
}

/** Its events are told to who asks, and to nobody else. */
async function wouldDecide(
  { context, handle, queue, definition }: Running,
  job: StageJob,
  signal: AbortSignal,
  leftMs: number,
): Promise<Answer> {
  if (definition.dry !== true) return { kind: 'none', reason: `${queue} cannot decide without doing it` }
  try {
    const record = await context.spool.read(job.at)
    const stored = job.edits.some(({ kind }) => kind === 'seven-bit') ? await sevenBitView(record) : record
    const message = { ...stageMessage(job, job.rcpt, stored), dry: true as const }
    const { events, told } = listenedEvents(context.clock)
    const timeoutMs = Math.min(leftMs, timeoutOf(context, queue))
    const disposition = await withinTime(signal, timeoutMs, 'no decision', (limited) =>
      handle(message, { ...context, events, signal: limited }),
    )
    return { kind: 'decided', disposition, told }
  } catch (error) {
    return { kind: 'none', reason: (error as Error).message }
  }
}

function timeoutOf({ configuration }: ServiceContext, queue: string): number {
  return configuration.pipeline.queues.get(queue)?.timeoutMs ?? 60_000
}

async function outcomesOf(context: ServiceContext, job: StageJob): Promise<readonly OutcomeRecord[]> {
  return (await context.spool.outcomesOf([job.id])).get(job.id) ?? []
}

/** Recipients without an outcome: what a killed process logged before its job was done counts. */
function stillPending(job: StageJob, outcomes: readonly OutcomeRecord[]): readonly number[] {
  if (outcomes.length === 0) return job.rcpt
  const final = new Set(outcomes.filter((outcome) => isFinal(outcome)).map((outcome) => outcome.recipient))
  return job.rcpt.filter((recipient) => !final.has(recipient))
}

/** Why the job must be planned anew. An action that an operator named waits when it is gone: the rules would send the message elsewhere. */
function outdated({ context, queue }: Running, job: StageJob, decidedAt: number | undefined): string | undefined {
  if (decidedAt !== undefined && decidedAt > (job.decidedAt ?? 0)) return 'an operator changed its way'
  if (job.action === undefined || job.order?.kind === 'action') return undefined
  if (isCarriedOutIn(queue, job.action, context.configuration)) return undefined
  return `the configuration has no action "${job.action}" for the queue ${queue} any more`
}

/** All its recipients are held by the log: what was to hold the job was killed before it could. */
function keptBack(
  pending: readonly number[],
  outcomes: readonly OutcomeRecord[],
): Pick<JobResult & { kind: 'park' }, 'reason' | 'quarantine'> | undefined {
  const states = pending.map((recipient) =>
    outcomes.findLast((one) => one.recipient === recipient && (one.kind === 'held' || one.kind === 'released')),
  )
  const [first] = states
  if (first === undefined || states.some((state) => state?.kind !== 'held')) return undefined
  const { reason = 'held', quarantine } = first
  return { reason, ...(quarantine === undefined ? {} : { quarantine }) }
}

/** The log says so, not the job: it holds after the queues were rebuilt too. */
function isReleased(queue: string, pending: readonly number[], outcomes: readonly OutcomeRecord[]): boolean {
  const released = new Set(
    outcomes
      .filter(({ kind, stage, quarantine }) => kind === 'released' && stage === queue && quarantine !== undefined)
      .map(({ recipient }) => recipient),
  )
  return released.size > 0 && pending.every((recipient) => released.has(recipient))
}

async function readRecord(context: ServiceContext, job: StageJob): Promise<SpooledMessage | SpoolReadError> {
  try {
    return await context.spool.read(job.at)
  } catch (error) {
    if (error instanceof SpoolReadError) return error
    throw error
  }
}

/** The record is gone or damaged: settled already, or evidence for an operator; never silently dropped. */
async function parkDamaged(running: Running, job: StageJob, error: SpoolReadError): Promise<JobResult> {
  const rcpt = stillPending(job, await outcomesOf(running.context, job))
  if (rcpt.length === 0) return { kind: 'done' }
  running.context.events.held({ id: job.id, rcpt, stage: running.queue, reason: error.message })
  return { kind: 'park', data: job, reason: error.message }
}

/** Before its time, as if it were over (RFC 3463 X.4.7). Who did it is in the story, and not told to the sender. */
function returnedEarly({ lastReply }: StageJob): Reply {
  const text = 'Returned by the operator of this server before it could be delivered'
  return { code: 554, enhanced: '5.4.7', text: lastReply === undefined ? text : `${text}; last reply: ${lastReply}` }
}

function stageMessage(job: StageJob, pending: readonly number[], stored: SpooledMessage): StageMessage {
  return {
    envelope: { ...stored.envelope, tags: job.tags },
    pending,
    edits: job.edits,
    sizeBytes: stored.locator.sizeBytes,
    stored,
    attempts: job.attempts,
    ...(job.action === undefined ? {} : { action: job.action }),
    ...(job.destination === undefined ? {} : { destination: job.destination }),
    ...(job.order === undefined ? {} : { order: job.order }),
    ...(job.lane === undefined ? {} : { lane: job.lane }),
  }
}

/** The stage's decision within the queue's time-out. A stage that throws or hangs: again later, or on without it. */
async function disposeOf(running: Running, message: StageMessage, control: JobControl): Promise<Disposition> {
  const { context, handle, queue } = running
  const settings = context.configuration.pipeline.queues.get(queue)
  try {
    return await inStageSpan(control.span, message, queue, (within) =>
      withinTime(control.signal, timeoutOf(context, queue), 'no decision', (signal) =>
        handle(message, { ...context, ...within, signal }),
      ),
    )
  } catch (error) {
    const { id } = message.envelope
    context.log.warn({ id, stage: queue, err: error }, 'stage failed')
    context.events.deferred({
      id,
      stage: queue,
      reason: (error as Error).message,
      policy: settings?.onFailure ?? 'defer',
    })
    return afterFailure(settings, message, error as Error)
  }
}
