import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { JournalEntry } from '../journal.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Disposition } from '../mail/disposition.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { formatReply } from '../mail/reply.ts'
import { withTag } from '../mail/tag.ts'
import { jobOf, mailboxOf, planJobs } from '../pipeline/plan.ts'
import type { Journey } from '../pipeline/plan.ts'
import type { Router } from '../pipeline/router.ts'
import type { NewJob } from '../queue/job.ts'
import type { Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import { chosenOf, inSpool } from './replay-choice.ts'
import { startsOf } from './replay-start.ts'
import type { Start, StartParts } from './replay-start.ts'
import { stepsOf, tellDecision, tellRule } from './story-steps.ts'
import type { StorySteps, Told } from './story-steps.ts'

export interface TrialParts extends StartParts {
  readonly configuration: { readonly pipeline: Pick<Configuration['pipeline'], 'replay'> }
  readonly queues: Pick<Queues, 'jobsOf' | 'questions'>
  readonly messages: Pick<MessageSources, 'find' | 'outcomesOf' | 'story'>
  readonly pipeline: { readonly route: Router }
  readonly clock: Clock
  /** Some process works on that queue. */
  isWorked(queue: string): Promise<boolean>
}

export interface TrialRequest {
  /** A queue that it passed; absent: its beginning. */
  readonly from?: string | undefined
  readonly recipient?: string | undefined
}

/** One decision on the way of some copies, as it would be now, and as it was. */
export interface TrialStep {
  readonly to: readonly Mailbox[]
  /** Of the stage that decides, or where they would leave; absent: the rules decide. */
  readonly queue?: string
  readonly now: string
  /** Absent: nobody knows. */
  readonly before?: string
  /** Another decision; another score alone is none. */
  readonly differs: boolean
}

/** Nobody waits longer for one stage. */
const mostMs = 20_000

/**
 * Takes a message from a queue it passed, or from its beginning, through the rules and stages in force, and does nothing: a stage that decides
 * about content is asked by its own workers what it would decide; what delivers or relays is not asked.
 * @throws OperationError when it is not in the spool any more, or nobody knows how it came there
 */
export async function tryReplay(
  parts: TrialParts,
  id: MessageId,
  { from, recipient }: TrialRequest,
): Promise<readonly TrialStep[]> {
  const { stored, envelope } = await inSpool(parts, id)
  const starts = await startsOf(parts, stored, chosenOf(envelope, recipient), from)
  const trial = new Trial(parts, stepsOf(await parts.messages.story(id), id))
  for (const start of starts) {
    const { recipients: pending, tags, edits, path } = start
    await trial.begin({ envelope: { ...envelope, tags }, at: stored.locator, pending, edits, path }, start)
  }
  return trial.steps
}

class Trial {
  readonly steps: TrialStep[] = []
  readonly #parts: TrialParts
  readonly #story: StorySteps

  constructor(parts: TrialParts, story: StorySteps) {
    this.#parts = parts
    this.#story = story
  }

  async begin(journey: Journey, { place, recipients }: Start): Promise<void> {
    if (place === undefined) return this.#follow(journey)
    await this.#comesTo(jobOf(journey, { ...place, recipients }), journey)
  }

  /** Ends: the plan refuses who comes to a queue too often. */
  async #follow(journey: Journey): Promise<void> {
    const { jobs, refused } = await planJobs(journey, this.#parts.pipeline.route)
    const rule = (recipient: number): Told | undefined => this.#story.rule(recipient, journey.path.length)
    for (const { recipient, reply } of refused) {
      const text = `the rules refuse it: ${formatReply(reply)}`
      this.#tell(journey, [recipient], undefined, { text, key: text }, rule)
    }
    for (const job of jobs) {
      const { rcpt, action } = job.data
      this.#tell(journey, rcpt, undefined, tellRule(job.rule, job.queue, action), rule)
      await this.#comesTo(job, { ...journey, pending: rcpt })
    }
  }

  async #comesTo(job: NewJob, journey: Journey): Promise<void> {
    const { queue, data } = job
    if (data.action !== undefined || data.destination !== undefined) {
      const to = data.destination === undefined ? '' : ` to ${data.destination}`
      const text = `${queue}${to}, action ${data.action ?? '?'}: nothing is sent`
      return this.#tell(journey, data.rcpt, queue, { text }, (one) =>
        this.#story.end(one, mailboxOf(journey.envelope, one)),
      )
    }
    const decided = await this.#ask(job)
    const before = (recipient: number): Told | undefined => this.#story.decision(recipient, queue)
    if (decided.kind === 'none') return this.#tell(journey, data.rcpt, queue, { text: decided.reason }, before)
    const { disposition, told } = decided
    const verdict = told.findLast(({ event }) => event === 'filtered')
    this.#tell(journey, data.rcpt, queue, tellDecision(wordsOf(disposition), verdict), before)
    if (disposition.kind !== 'pass') return
    const tags = [disposition.tag, ...(disposition.also ?? [])].reduce(withTag, journey.envelope.tags)
    await this.#follow({
      ...journey,
      envelope: { ...journey.envelope, tags },
      edits: [...journey.edits, ...(disposition.edits ?? [])],
      path: [...journey.path, queue],
    })
  }

  async #ask({ queue, data }: NewJob): Promise<Decided> {
    const { queues, clock, isWorked } = this.#parts
    if (!(await isWorked(queue))) return { kind: 'none', reason: `not asked: no service works on the queue ${queue}` }
    const now = clock.now()
    const job = { queue, jobId: `${data.id}.${queue}.try${newMessageId(now)}`, data }
    const asking = { untilAt: now + mostMs, signal: AbortSignal.timeout(mostMs), dry: true } as const
    const answer = await queues.questions.ask(job, asking)
    if (answer.kind === 'none') return { kind: 'none', reason: `not decided: ${answer.reason}` }
    return { kind: 'decided', disposition: answer.disposition, told: answer.told ?? [] }
  }

  /** Copies of which the same was decided before share a line. */
  #tell(
    { envelope }: Journey,
    recipients: readonly number[],
    queue: string | undefined,
    now: { readonly text: string; readonly key?: string },
    beforeOf: (recipient: number) => Told | undefined,
  ): void {
    const groups = new Map<string, { readonly before: Told | undefined; readonly to: Mailbox[] }>()
    for (const recipient of recipients) {
      const before = beforeOf(recipient)
      const group = groups.get(before?.text ?? '') ?? { before, to: [] }
      group.to.push(mailboxOf(envelope, recipient))
      groups.set(before?.text ?? '', group)
    }
    for (const { before, to } of groups.values()) {
      const differs = now.key !== undefined && before !== undefined && now.key !== before.key
      const place = queue === undefined ? {} : { queue }
      this.steps.push({
        to,
        ...place,
        now: now.text,
        ...(before === undefined ? {} : { before: before.text }),
        differs,
      })
    }
  }
}

/** One sentence: what is decided now, and what was when that is another. */
export function describeStep({ to, queue = 'the rules', now, before, differs }: TrialStep): string {
  return `${queue}, for ${to.join(', ')}: ${now}${differs ? ` (then: ${before ?? '?'})` : ''}`
}

type Decided =
  | { readonly kind: 'decided'; readonly disposition: Disposition; readonly told: readonly JournalEntry[] }
  | { readonly kind: 'none'; readonly reason: string }

function wordsOf(disposition: Disposition): string {
  switch (disposition.kind) {
    case 'pass':
      return `pass, tag ${disposition.tag}`
    case 'hold':
      return `hold: ${disposition.reason}`
    case 'discard':
      return `discard: ${disposition.reason}`
    case 'reject':
      return `reject: ${formatReply(disposition.reply)}`
    case 'postpone':
      return `again later: ${disposition.reason}`
    case 'settled':
      return disposition.attempts.map(({ reply }) => formatReply(reply)).join('; ')
  }
}
