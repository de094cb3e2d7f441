import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { DeliveryAttempt, Disposition } from '../mail/disposition.ts'
import { dueAt } from '../mail/envelope.ts'
import { formatReply, isPermanent, isPositive, replies } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { withTag } from '../mail/tag.ts'
import type { StageJob } from '../queue/job.ts'
import type { JobResult, Queues } from '../queue/queues.ts'
import type { OutcomeRecord, Spool } from '../spool/spool.ts'
import { mailboxOf, planJobs } from './plan.ts'
import type { Reporter } from './reporter.ts'
import type { Router } from './router.ts'
import { nextAttemptAt, retryBaseMs } from './schedule.ts'
import type { StageMessage } from './stage.ts'
import { tellRoutes } from './tell-routes.ts'

/** What carrying out a disposition needs. */
export interface AdvanceParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly route: Router
  readonly spool: Pick<Spool, 'settle'>
  readonly queues: Pick<Queues, 'add'>
  readonly reporter: Reporter
  readonly events: Events
  readonly clock: Clock
  /** 0 to 1, see `Schedule.spread`. */
  readonly spread: () => number
}

/** One step of a message: the job it came in, what the stage saw of it, and how long it took. */
export interface Step {
  readonly queue: string
  readonly job: StageJob
  readonly message: StageMessage
  readonly tookMs: number
}

/**
 * Carries out what a stage decided. Order is what keeps mail: reports and next jobs first, then the outcome log, and only
 * then the job is done. Every part may run twice with the same effect.
 */
export async function advance(parts: AdvanceParts, step: Step, disposition: Disposition): Promise<JobResult> {
  switch (disposition.kind) {
    case 'pass':
      return passOn(parts, step, disposition)
    case 'settled':
      return settleAttempts(parts, step, disposition.attempts, disposition)
    case 'reject':
      return settleAttempts(parts, step, refuseAll(step, disposition.reply))
    case 'hold':
      return holdBack(parts, step, disposition)
    case 'discard':
      return discardAll(parts, step, disposition.reason)
    case 'postpone':
      return postponed(parts, step, disposition)
  }
}

/**
 * The schedule does not move on: nothing was tried. What may wait no longer ends as after a failed attempt, and the sender is warned of the
 * delay as after one.
 */
async function postponed(
  parts: AdvanceParts,
  step: Step,
  { delayMs, reason, lane, laneName }: Disposition & { kind: 'postpone' },
): Promise<JobResult> {
  const { message, job } = step
  const attempts = refuseAll(step, notTried(reason))
  if (isExpired(parts, message)) return settleAttempts(parts, step, attempts)
  const warned = await warnOfDelay(parts, step, attempts, parts.clock.now())
  // Shown in the queue as why it waits, until a host has said something.
  const lastReply = (job.attempts > 0 ? job.lastReply : undefined) ?? formatReply(notTried(reason))
  const data = { ...job, lastReply, ...laneIn(laneName), ...(warned === 0 ? {} : { warned }) }
  const untilMs = Math.max(0, nextNoticeAt(parts, message, warned) - parts.clock.now())
  return { kind: 'later', data, delayMs: Math.min(delayMs, untilMs), reason, ...(lane === undefined ? {} : { lane }) }
}

/** When its sender is to hear of it, however long it may have to wait: a warning of the delay, or that its time is over. */
function nextNoticeAt(parts: AdvanceParts, message: StageMessage, warned: number): number {
  const receivedAt = dueAt(message.envelope)
  const warnMs = parts.configuration.bounceWarnMs.toSorted((one, other) => one - other)[warned]
  const expiresAt = receivedAt + ttlOf(parts, message)
  return warnMs === undefined ? expiresAt : Math.min(expiresAt, receivedAt + warnMs + 1)
}

function laneIn(lane: string | undefined): Pick<StageJob, 'lane'> {
  return lane === undefined ? {} : { lane }
}

function notTried(reason: string): Reply {
  return { code: 451, enhanced: '4.4.5', text: `Not tried: ${reason}` }
}

async function passOn(
  parts: AdvanceParts,
  step: Step,
  disposition: Disposition & { kind: 'pass' },
): Promise<JobResult> {
  const { message, job, queue } = step
  const added = [disposition.tag, ...(disposition.also ?? [])]
  const tags = added.reduce(withTag, message.envelope.tags)
  const envelope = { ...message.envelope, tags }
  const edits = disposition.edits === undefined ? message.edits : [...message.edits, ...disposition.edits]
  const path = [...job.path, queue]
  const journey = {
    envelope,
    at: job.at,
    pending: message.pending,
    edits,
    path,
    decidedAt: job.decidedAt,
    series: job.series,
    ...(job.recheck === true ? { recheck: true } : {}),
  }
  const plan = await planJobs(journey, parts.route)
  await parts.queues.add(plan.jobs)
  parts.events.passed({ id: envelope.id, stage: queue, tag: disposition.tag, tookMs: step.tookMs })
  tellRoutes(parts, plan.jobs, message.stored)
  if (plan.refused.length === 0) return { kind: 'done' }
  const refused = plan.refused.map(({ recipient, reply }) => ({ recipient, reply, reached: 'local' as const }))
  return settleAttempts(parts, step, refused, { onlyThese: true })
}

/** Why a job is planned anew. */
export interface Replanning {
  readonly jobId: string
  readonly reason: string
  /** Of the last decision of an operator that the envelope holds. */
  readonly decidedAt?: number | undefined
}

/** The job is not what it should be any more, by a reload or an operator: the rules in force say where its recipients go. */
export async function planAnew(
  parts: AdvanceParts,
  step: Step,
  { jobId, reason, decidedAt }: Replanning,
): Promise<JobResult> {
  const { job, message } = step
  const { envelope, pending, edits } = message
  const journey = {
    envelope,
    at: job.at,
    pending,
    edits,
    path: job.path,
    recheck: true,
    insteadOf: jobId,
    decidedAt,
    series: job.series,
  }
  const plan = await planJobs(journey, parts.route)
  const warned = job.warned === undefined ? {} : { warned: job.warned }
  await parts.queues.add(plan.jobs.map((one) => ({ ...one, data: { ...one.data, ...warned } })))
  parts.events.requeued({ id: envelope.id, reason })
  tellRoutes(parts, plan.jobs, message.stored)
  if (plan.refused.length === 0) return { kind: 'done' }
  const refused = plan.refused.map(({ recipient, reply }) => ({ recipient, reply, reached: 'local' as const }))
  return settleAttempts(parts, step, refused, { onlyThese: true })
}

async function settleAttempts(
  parts: AdvanceParts,
  step: Step,
  attempts: readonly DeliveryAttempt[],
  options: { readonly onlyThese?: boolean; readonly laneName?: string } = {},
): Promise<JobResult> {
  const { message } = step
  const answered = new Map(attempts.map((attempt) => [attempt.recipient, attempt]))
  const reached: DeliveryAttempt[] = []
  const refused: DeliveryAttempt[] = []
  const again: DeliveryAttempt[] = []
  for (const recipient of message.pending) {
    const attempt = answered.get(recipient)
    if (attempt === undefined && options.onlyThese === true) continue
    const { reply } = attempt ?? { reply: replies.tryLater }
    const made = attempt ?? { recipient, reply, reached: 'local' as const }
    if (isPositive(reply)) reached.push(made)
    else if (isPermanent(reply)) refused.push(made)
    else again.push(made)
  }
  const expired = isExpired(parts, message) ? again.splice(0).map((attempt) => asExpired(attempt)) : []

  await parts.reporter.reportSuccess(message, reached)
  await parts.reporter.reportFailure(message, [...refused, ...expired])
  const final = [...reached, ...refused, ...expired]
  if (final.length > 0) await parts.spool.settle(final.map((attempt) => outcomeOf(parts, step, attempt)))
  tell(parts, step, reached, refused, expired)
  return again.length === 0 ? { kind: 'done' } : tryAgain(parts, step, again, options.laneName)
}

async function tryAgain(
  parts: AdvanceParts,
  step: Step,
  again: readonly DeliveryAttempt[],
  laneName: string | undefined,
): Promise<JobResult> {
  const { job, message, queue } = step
  const receivedAt = dueAt(message.envelope)
  const nowAt = parts.clock.now()
  const attempts = job.attempts + 1
  const nextAt = nextAttemptAt({ receivedAt, attempts, baseMs: retryBaseMs(queue), nowAt, spread: parts.spread() })
  const warned = await warnOfDelay(parts, step, again, nextAt)
  for (const attempt of again) {
    parts.events.delayed({ ...attemptFields(parts, step, attempt), nextAt, attempts })
  }
  const rcpt = again.map((attempt) => attempt.recipient)
  const data: StageJob = {
    ...job,
    rcpt,
    to: rcpt.map((recipient) => mailboxOf(message.envelope, recipient)),
    attempts,
    lastReply: formatReply(again[0]?.reply ?? replies.tryLater),
    ...laneIn(laneName),
    ...(warned === 0 ? {} : { warned }),
  }
  return { kind: 'later', data, delayMs: Math.max(0, nextAt - nowAt), reason: data.lastReply ?? '' }
}

/** Sends the delay warnings of `bounce warn-interval` that fall before the next attempt. Returns how many are sent in all. */
async function warnOfDelay(
  parts: AdvanceParts,
  step: Step,
  again: readonly DeliveryAttempt[],
  nextAt: number,
): Promise<number> {
  const warned = step.job.warned ?? 0
  const receivedAt = dueAt(step.message.envelope)
  const due = parts.configuration.bounceWarnMs.filter((delayMs) => receivedAt + delayMs < nextAt).length
  if (due > warned) await parts.reporter.reportDelay(step.message, again, due)
  return Math.max(warned, due)
}

async function holdBack(
  parts: AdvanceParts,
  step: Step,
  { reason, quarantine }: Disposition & { kind: 'hold' },
): Promise<JobResult> {
  const why = { reason, ...(quarantine === undefined ? {} : { quarantine }) }
  await parts.spool.settle(outcomesForAll(parts, step, 'held', reason).map((outcome) => ({ ...outcome, ...why })))
  parts.events.held({ id: step.message.envelope.id, rcpt: step.message.pending, stage: step.queue, ...why })
  return { kind: 'park', data: step.job, ...why }
}

async function discardAll(parts: AdvanceParts, step: Step, reason: string): Promise<JobResult> {
  await parts.spool.settle(outcomesForAll(parts, step, 'discarded', reason))
  const { envelope, pending } = step.message
  parts.events.discarded({ id: envelope.id, rcpt: pending, stage: step.queue, reason })
  return { kind: 'done' }
}

function refuseAll(step: Step, reply: Reply): readonly DeliveryAttempt[] {
  return step.message.pending.map((recipient) => ({ recipient, reply, reached: 'local' as const }))
}

/** True when the action's ttl, or the queue's, is over. */
export function isExpired(parts: Pick<AdvanceParts, 'configuration' | 'clock'>, message: StageMessage): boolean {
  return parts.clock.now() >= dueAt(message.envelope) + ttlOf(parts, message)
}

function ttlOf({ configuration }: Pick<AdvanceParts, 'configuration'>, { action: name }: StageMessage): number {
  const action = name === undefined ? undefined : configuration.actions.get(name)
  return action?.ttlMs ?? configuration.queueTtlMs
}

function asExpired(attempt: DeliveryAttempt): DeliveryAttempt {
  const { expired } = replies
  return { ...attempt, reply: { ...expired, text: `${expired.text}; last reply: ${formatReply(attempt.reply)}` } }
}

function outcomeOf(parts: AdvanceParts, step: Step, attempt: DeliveryAttempt): OutcomeRecord {
  const good = attempt.reached === 'local' ? 'delivered' : 'relayed'
  return {
    id: step.message.envelope.id,
    recipient: attempt.recipient,
    kind: isPositive(attempt.reply) ? good : 'failed',
    stage: step.queue,
    at: parts.clock.now(),
    reply: attempt.reply,
    ...(attempt.remoteMta === undefined ? {} : { remoteMta: attempt.remoteMta }),
  }
}

function outcomesForAll(parts: AdvanceParts, step: Step, kind: 'held' | 'discarded', reason: string): OutcomeRecord[] {
  const { envelope, pending } = step.message
  const at = parts.clock.now()
  return pending.map((recipient) => ({ id: envelope.id, recipient, kind, stage: step.queue, at, reason }))
}

function tell(
  parts: AdvanceParts,
  step: Step,
  reached: readonly DeliveryAttempt[],
  refused: readonly DeliveryAttempt[],
  expired: readonly DeliveryAttempt[],
): void {
  const { events } = parts
  for (const attempt of reached) {
    const fields = attemptFields(parts, step, attempt)
    if (attempt.reached === 'local') events.delivered(fields)
    else events.relayed(fields)
  }
  for (const attempt of refused) events.failed(attemptFields(parts, step, attempt))
  for (const attempt of expired) events.expired(attemptFields(parts, step, attempt))
}

function attemptFields(parts: AdvanceParts, step: Step, attempt: DeliveryAttempt) {
  const { envelope, action } = step.message
  return {
    id: envelope.id,
    recipient: mailboxOf(envelope, attempt.recipient),
    rcpt: attempt.recipient,
    stage: step.queue,
    reply: attempt.reply,
    remoteMta: attempt.remoteMta,
    tls: attempt.tls?.session,
    tlsTrust: attempt.tls?.trust,
    starttls: attempt.tlsUnused === true ? ('offered, not used' as const) : undefined,
    talk: attempt.talk,
    action,
    ageMs: parts.clock.now() - envelope.receivedAt,
  }
}
