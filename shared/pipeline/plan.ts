import { createHash } from 'node:crypto'

import { domainOf } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { dueAt } from '../mail/envelope.ts'
import type { Envelope, Recipient, RelayOrder } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import { replies } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { jobSchema } from '../queue/job.ts'
import type { NewJob, StageJob } from '../queue/job.ts'
import type { Route } from '../routing/route.ts'
import type { Locator } from '../spool/spool.ts'
import type { Router } from './router.ts'

/** How often one message may enter one queue before it is stopped as a loop. */
export const maxVisits = 3

/** A message between two steps. */
export interface Journey {
  /** `tags`: those it has now. */
  readonly envelope: Envelope
  readonly at: Locator
  /** Indexes of the recipients to route. */
  readonly pending: readonly number[]
  readonly edits: readonly HeaderEdit[]
  /** Queues visited, in order. */
  readonly path: readonly string[]
  /** Set by a rebuild: the outcome log is read before the first attempt too. */
  readonly recheck?: boolean
  /** Of the last decision of an operator that `envelope` holds. */
  readonly decidedAt?: number | undefined
  /** See `StageJob.series`. */
  readonly series?: string | undefined
  /** Id of the job whose place these take: their ids differ from all before, for a finished job is not added again. */
  readonly insteadOf?: string
}

export interface Plan {
  readonly jobs: readonly PlannedJob[]
  readonly refused: readonly { readonly recipient: number; readonly reply: Reply }[]
}

export interface PlannedJob extends NewJob {
  /** `file:line` of the rule that sent it there, and what stands there; no text: it was no rule. */
  readonly rule: string
  readonly ruleText: string | undefined
}

/** One group of recipients that travel on together. */
export interface Group {
  readonly queue: string
  readonly rule: string
  readonly ruleText: string | undefined
  readonly action: string | undefined
  readonly destination: string | undefined
  readonly order: RelayOrder | undefined
  readonly recipients: readonly number[]
}

/**
 * The next jobs of a message: one per queue, action and destination, all its recipients together. Pure but for the router:
 * the same journey gives the same job ids, so a step that is done twice adds nothing twice.
 */
export async function planJobs(journey: Journey, route: Router): Promise<Plan> {
  const groups = new Map<string, Group & { readonly recipients: number[] }>()
  const refused: { recipient: number; reply: Reply }[] = []
  for (const recipient of journey.pending) {
    const who = recipientOf(journey.envelope, recipient)
    const next = await route(journey.envelope, who, journey.path.length)
    if (next.kind === 'reject') {
      refused.push({ recipient, reply: next.reply })
      continue
    }
    const step = stepOf(next, who.mailbox)
    if (journey.path.filter((queue) => queue === step.queue).length >= maxVisits) {
      refused.push({ recipient, reply: replies.routingLoop })
      continue
    }
    const key = `${step.queue} ${step.action ?? ''} ${step.destination ?? ''} ${step.order?.kind ?? ''}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { ...step, recipients: [recipient] })
    else group.recipients.push(recipient)
  }
  return { jobs: [...groups.values()].map((group) => jobOf(journey, group)), refused }
}

/** The recipient at an index of the envelope. @throws RangeError for an index a damaged job made up. */
export function recipientOf(envelope: Envelope, index: number): Recipient {
  const found = envelope.recipients[index]
  if (found === undefined) throw new RangeError(`message ${envelope.id} has no recipient ${index}`)
  return found
}

export function mailboxOf(envelope: Envelope, index: number): Mailbox {
  return recipientOf(envelope, index).mailbox
}

function stepOf(route: Exclude<Route, { kind: 'reject' }>, mailbox: Mailbox): Omit<Group, 'recipients'> {
  const { file, line, text: ruleText } = route.rule
  const rule = `${file}:${line}`
  switch (route.kind) {
    case 'stage':
      return { queue: route.queue, rule, ruleText, action: undefined, destination: undefined, order: undefined }
    case 'local':
      return { queue: 'deliver', rule, ruleText, action: route.action, destination: undefined, order: undefined }
    case 'relay':
      return {
        queue: 'relay',
        rule,
        ruleText,
        action: route.action,
        destination: route.destination ?? domainOf(mailbox),
        order: route.order,
      }
  }
}

/** The job of one group. */
export function jobOf(journey: Journey, group: Group): PlannedJob {
  const { envelope } = journey
  const data: StageJob = {
    v: jobSchema,
    id: envelope.id,
    at: journey.at,
    from: envelope.reversePath,
    ...senderIn(envelope),
    rcpt: group.recipients,
    to: group.recipients.map((recipient) => mailboxOf(envelope, recipient)),
    tags: envelope.tags,
    edits: journey.edits,
    receivedAt: dueAt(envelope),
    path: journey.path,
    ...(group.action === undefined ? {} : { action: group.action }),
    ...(group.destination === undefined ? {} : { destination: group.destination }),
    ...(group.order === undefined ? {} : { order: group.order }),
    ...(journey.decidedAt === undefined ? {} : { decidedAt: journey.decidedAt }),
    ...(journey.series === undefined ? {} : { series: journey.series }),
    ...(envelope.trace === undefined ? {} : { trace: envelope.trace }),
    attempts: 0,
    ...(journey.recheck === true ? { recheck: true } : {}),
  }
  return { queue: group.queue, jobId: jobIdOf(journey, group), data, rule: group.rule, ruleText: group.ruleText }
}

function senderIn({ origin, reversePath }: Envelope): Pick<StageJob, 'sender'> {
  const sender = origin.user ?? (reversePath === null ? origin.address : undefined)
  return sender === undefined ? {} : { sender }
}

/** `<messageId>.<queue>.<group>`: the group is a digest of all that tells two jobs of one message in one queue apart. */
function jobIdOf({ envelope, path, insteadOf, series }: Journey, group: Group): string {
  const cause = [insteadOf, series].flatMap((one) => (one === undefined ? [] : `\n${one}`)).join('')
  const digest = createHash('sha1')
    .update(
      `${group.action ?? ''}\n${group.destination ?? ''}\n${group.recipients.join(',')}\n${path.join(',')}${cause}`,
    )
    .digest('base64url')
  return `${envelope.id}.${group.queue}.${digest.slice(0, 8)}`
}
