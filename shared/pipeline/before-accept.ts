import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { Disposition } from '../mail/disposition.ts'
import { dueAt } from '../mail/envelope.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import { formatReply, isPermanent } from '../mail/reply.ts'
import type { Metrics } from '../metrics.ts'
import type { Answer, JobResult, Queues } from '../queue/queues.ts'
import type { IncomingContent, Locator, Spool } from '../spool/spool.ts'
import { advance } from './advance.ts'
import type { AdvanceParts } from './advance.ts'
import { planJobs } from './plan.ts'
import type { PlannedJob } from './plan.ts'
import type { Router } from './router.ts'

/** The queue whose stage is asked. */
const asked = 'filter'

/** What the filter decided about a message that is not accepted yet, and the job that it would have had. */
export interface EarlyDecision {
  readonly kind: 'decided'
  readonly job: PlannedJob
  readonly disposition: EarlyDisposition
  readonly tookMs: number
}

/** `reject`: with a permanent reply, and the message is not to be accepted. */
export type EarlyDisposition = Disposition & { readonly kind: 'pass' | 'hold' | 'discard' | 'reject' }

export interface Unaccepted {
  readonly envelope: Envelope
  readonly content: Pick<IncomingContent, 'draft'>
  readonly edits: readonly HeaderEdit[]
}

export interface EarlyParts {
  readonly configuration: { readonly revision: string }
  readonly route: Router
  readonly queues: Pick<Queues, 'questions' | 'tooFull'>
  readonly events: Pick<Events, 'judged' | 'undecided'>
  readonly metrics: Pick<Metrics, 'beforeAcceptSeconds'>
  readonly clock: Clock
}

/**
 * Has the filter judge a message that all its recipients would be sent to it with first. `undefined`: nobody decided in time, or it is not a
 * message for this; it is accepted as any other, and goes its way through the queues. Nothing is done about the decision here.
 */
export async function decideEarly(
  parts: EarlyParts,
  message: Unaccepted,
  asking: { readonly untilAt: number; readonly signal: AbortSignal },
): Promise<EarlyDecision | undefined> {
  const { events, metrics } = parts
  const { id } = message.envelope
  const startedAt = performance.now()
  // A table that cannot be read now is told when the message is queued.
  const job = await onlyJob(parts, message).catch(() => undefined)
  if (job === undefined) return undefined
  const answer = usable(await ask(parts, message, job, asking))
  const tookMs = Math.round((performance.now() - startedAt) * 10) / 10
  if (answer.kind === 'none') {
    metrics.beforeAcceptSeconds.observe({ decision: 'none' }, tookMs / 1000)
    events.undecided({ id, stage: asked, reason: answer.reason, tookMs })
    return undefined
  }
  const { kind: decision } = answer.disposition
  metrics.beforeAcceptSeconds.observe({ decision }, tookMs / 1000)
  events.judged({ id, stage: asked, decision, tookMs })
  return { kind: 'decided', job, disposition: answer.disposition, tookMs }
}

/** Does what the worker would have done with the decision, for the message that was accepted since; the result is that of its job. */
export async function carryOutEarly(
  parts: AdvanceParts & { readonly spool: Pick<Spool, 'read'> },
  { job, disposition, tookMs }: EarlyDecision,
  message: { readonly envelope: Envelope; readonly at: Locator },
): Promise<JobResult> {
  const { envelope, at } = message
  const stored = await parts.spool.read(at)
  const { rcpt: pending, edits } = job.data
  const seen = { envelope, pending, edits, sizeBytes: at.sizeBytes, stored, attempts: 0 }
  return advance(parts, { queue: asked, job: { ...job.data, at }, message: seen, tookMs }, disposition)
}

/** The one first job that all recipients share, when it is the filter's, and due now. */
async function onlyJob(parts: EarlyParts, { envelope, edits }: Unaccepted): Promise<PlannedJob | undefined> {
  if (dueAt(envelope) > parts.clock.now()) return undefined
  const pending = envelope.recipients.map((_, index) => index)
  const { jobs, refused } = await planJobs({ envelope, at: nowhere, pending, edits, path: [] }, parts.route)
  const [first, ...others] = jobs
  return refused.length === 0 && others.length === 0 && first?.queue === asked ? first : undefined
}

/** Until the message has a place. */
const nowhere: Locator = { segment: '', offset: 0, recordBytes: 0, sizeBytes: 0, headerBytes: 0 }

async function ask(
  { queues, configuration }: EarlyParts,
  { envelope, content, edits }: Unaccepted,
  { queue, data }: PlannedJob,
  asking: { readonly untilAt: number; readonly signal: AbortSignal },
): Promise<Answer> {
  if (queues.tooFull) return none('Redis is nearly full')
  try {
    const at = await content.draft({ envelope, edits, revision: configuration.revision })
    return await queues.questions.ask(
      { queue, jobId: `${envelope.id}.${queue}.question`, data: { ...data, at } },
      asking,
    )
  } catch (error) {
    return none((error as Error).message)
  }
}

type UsableAnswer = { readonly kind: 'decided'; readonly disposition: EarlyDisposition } | (Answer & { kind: 'none' })

/** What would come to be tried again is left to the queue. */
function usable(answer: Answer): UsableAnswer {
  if (answer.kind === 'none') return answer
  const { disposition } = answer
  switch (disposition.kind) {
    case 'pass':
    case 'hold':
    case 'discard':
      return { kind: 'decided', disposition }
    case 'reject':
      return isPermanent(disposition.reply) ? { kind: 'decided', disposition } : none(formatReply(disposition.reply))
    case 'settled':
    case 'postpone':
      return none(`${asked} did not decide`)
  }
}

function none(reason: string): Answer & { kind: 'none' } {
  return { kind: 'none', reason }
}
