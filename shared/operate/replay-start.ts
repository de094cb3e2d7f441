import type { Arrival } from '../events.ts'
import type { JournalEntry } from '../journal.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { Tag } from '../mail/tag.ts'
import type { Group } from '../pipeline/plan.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import type { MessageSources } from '../report/message-view.ts'
import type { SpooledMessage } from '../spool/spool.ts'
import { OperationError } from './operation-error.ts'

export interface StartParts {
  readonly queues: Pick<Queues, 'jobsOf'>
  readonly messages: Pick<MessageSources, 'story'>
}

/** A message as it came to a stage, and the copies it came there with. */
export interface Start {
  /** Indexes into the envelope's recipients. */
  readonly recipients: readonly number[]
  readonly tags: readonly Tag[]
  readonly edits: readonly HeaderEdit[]
  readonly path: readonly string[]
  /** Absent: where the rules say. */
  readonly place: Omit<Group, 'recipients'> | undefined
}

/**
 * How the copies came to a queue, `from`: as the jobs there have it, or those of the last hour had it; else as the journal tells, which knows
 * it of the first queue, and of the others where contents are kept for replays. Absent: the beginning.
 * @throws OperationError for a copy of which nobody knows
 */
export async function startsOf(
  parts: StartParts,
  stored: SpooledMessage,
  recipients: readonly number[],
  from: string | undefined,
): Promise<readonly Start[]> {
  const { envelope, edits } = stored
  if (from === undefined) return [{ recipients, tags: envelope.tags, edits, path: [], place: undefined }]
  const { id } = envelope
  const jobs = await parts.queues.jobsOf(id)
  const inQueues = jobs.map(arrivalOfJob)
  const isKnown = recipients.every((one) => inQueues.some(({ queue, rcpt }) => queue === from && rcpt.includes(one)))
  const told = isKnown ? [] : arrivalsTold(stored, await parts.messages.story(id))
  const arrivals = [...told, ...inQueues].toSorted((one, other) => one.at - other.at)
  const whole = arrivals.filter(isWhole)
  const chosen = new Map<WholeKnown, number[]>()
  for (const recipient of recipients) {
    const known = whole.findLast(({ queue, rcpt }) => queue === from && rcpt.includes(recipient))
    if (known === undefined) throw notThere(stored, from, recipient, arrivals)
    chosen.set(known, [...(chosen.get(known) ?? []), recipient])
  }
  return [...chosen].map(([known, those]) => startAt(known, those))
}

/** What is known of how copies came to a queue. */
interface Known {
  readonly queue: string
  readonly at: number
  readonly rcpt: readonly number[]
  readonly tags: readonly Tag[]
  /** Absent: nobody wrote them down. */
  readonly edits: readonly HeaderEdit[] | undefined
  readonly path: readonly string[]
  readonly action: string | undefined
  readonly destination: string | undefined
  readonly order: Group['order']
}

interface WholeKnown extends Known {
  readonly edits: readonly HeaderEdit[]
}

/** A relay needs to know where to. */
function isWhole(known: Known): known is WholeKnown {
  return known.edits !== undefined && (known.queue !== 'relay' || known.destination !== undefined)
}

function arrivalOfJob({ queue, data, addedAt }: JobSummary): Known {
  const { rcpt, tags, edits, path, action, destination, order } = data
  const name = queue === heldQueue ? (data.held?.queue ?? queue) : queue
  return { queue: name, at: addedAt, rcpt, tags, edits, path, action, destination, order }
}

/** In the order in which they came. A line before any stage was done tells of a first queue: the edits are those of the acceptance. */
function arrivalsTold({ envelope, edits }: SpooledMessage, story: readonly JournalEntry[]): readonly Known[] {
  const known: Known[] = []
  let isFirst = true
  for (const entry of story) {
    if (entry.id !== envelope.id) continue
    if (entry.event === 'passed') isFirst = false
    const line = entry.event === 'routed' ? (entry as RoutedLine) : undefined
    if (line === undefined || typeof line.queue !== 'string' || !Array.isArray(line.rcpt)) continue
    const { at, queue, rcpt, tags = [], action, arrival } = line
    const added = arrival === undefined ? (isFirst ? [] : undefined) : (arrival.edits ?? [])
    known.push({
      queue,
      at,
      rcpt,
      tags,
      action,
      edits: added && [...edits, ...added],
      path: arrival?.path ?? [],
      destination: arrival?.destination,
      order: arrival?.order,
    })
  }
  return known
}

/** As `Events.routed` writes it; fields of a line that is damaged may be missing. */
interface RoutedLine extends JournalEntry {
  readonly queue?: string
  readonly rcpt?: readonly number[]
  readonly tags?: readonly Tag[]
  readonly action?: string
  readonly arrival?: Arrival
}

function startAt({ queue, tags, edits, path, action, destination, order }: WholeKnown, recipients: number[]): Start {
  const place = { queue, rule: 'replay', ruleText: undefined, action, destination, order }
  return { recipients, tags, edits, path, place }
}

function notThere(
  { envelope }: SpooledMessage,
  from: string,
  recipient: number,
  arrivals: readonly Known[],
): OperationError {
  const { id, recipients } = envelope
  const mailbox = recipients[recipient]?.mailbox ?? String(recipient)
  if (arrivals.some(({ queue, rcpt }) => queue === from && rcpt.includes(recipient)))
    return new OperationError(
      `how message ${id} came to ${from} is not known any more: that is kept for an hour, or with \`replay keep\` in pipeline.conf; without a stage it goes from its beginning`,
    )
  const passed = [...new Set(arrivals.filter(({ rcpt }) => rcpt.includes(recipient)).map(({ queue }) => queue))]
  const others = passed.length === 0 ? 'nothing is known of where it was' : `it passed ${passed.join(', ')}`
  return new OperationError(
    `message ${id} has not passed ${from} on its way to ${mailbox}: ${others}; without a stage it goes from its beginning`,
  )
}
