import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Queues } from '../queue/queues.ts'
import { lastDecisionAt, withDecisions } from '../spool/decisions.ts'
import type { LiveIndex } from '../spool/live-index.ts'
import type { LiveMessage, Spool } from '../spool/spool.ts'
import type { Pipeline, Requeued } from './pipeline.ts'

export interface SweepParts {
  readonly index: LiveIndex
  readonly queues: Queues
  readonly spool: Spool
  readonly pipeline: Pipeline
  readonly events: Events
  readonly clock: Clock
  readonly log: Logger
}

export interface SweepOptions {
  /** Younger messages are left to the process that accepted them. */
  readonly minAgeMs: number
  /** Written into each message's story. */
  readonly reason: string
  readonly signal?: AbortSignal
}

export interface SweepResult {
  /** Messages with recipients that have no outcome. */
  readonly live: number
  readonly requeued: number
  /** Messages that could not be read or routed now; they stay on disk. */
  readonly failed: number
}

const atOnce = 200
const perTurn = 5_000

/**
 * Gives every accepted message that has neither an outcome for all recipients nor a job its jobs again, from the spool alone.
 * Safe under load and at any time: a message that moves between two queues while they are listed is looked for twice, and the
 * jobs made here read the outcome log before their first attempt. Nobody else may refresh the index meanwhile.
 */
export async function sweep(parts: SweepParts, options: SweepOptions): Promise<SweepResult> {
  const { index, queues, clock } = parts
  const acceptedBefore = clock.now() - options.minAgeMs
  await index.refresh()
  let orphans = await withoutJob(parts, index.entries(), acceptedBefore)
  if (orphans.length > 0) {
    await index.refresh()
    const again = orphans.map((one) => index.get(one.id)).filter((one) => one !== undefined)
    orphans = await withoutJob(parts, again, acceptedBefore)
  }
  let requeued = 0
  for (let start = 0; start < orphans.length && options.signal?.aborted !== true; start += atOnce) {
    const batch = orphans.slice(start, start + atOnce)
    const done = await Promise.all(batch.map((live) => requeue(parts, live, options.reason)))
    requeued += done.filter(Boolean).length
  }
  if (orphans.length > 0) await queues.ensureEpoch()
  return { live: index.size, requeued, failed: orphans.length - requeued }
}

/** Those that no queue knows. A million messages are looked through in turns, so that the process goes on with its work. */
async function withoutJob(
  parts: SweepParts,
  messages: Iterable<LiveMessage>,
  acceptedBefore: number,
): Promise<readonly LiveMessage[]> {
  const known = await parts.queues.messagesWithJobs()
  const found: LiveMessage[] = []
  let looked = 0
  for (const one of messages) {
    looked += 1
    if (looked % perTurn === 0) await nextTurn()
    if (one.receivedAt <= acceptedBefore && !known.has(one.id)) found.push(one)
  }
  return found
}

async function asDecided({ spool }: SweepParts, { id, locator, pending, decidedAt }: LiveMessage): Promise<Requeued> {
  const stored = await spool.read(locator)
  if (decidedAt === undefined) return stored
  const outcomes = (await spool.outcomesOf([id])).get(id) ?? []
  const { edits } = stored
  const envelope = withDecisions(stored.envelope, outcomes)
  return { envelope, edits, locator, decidedAt: lastDecisionAt(outcomes, pending) }
}

async function requeue(parts: SweepParts, live: LiveMessage, reason: string): Promise<boolean> {
  try {
    const stored = await asDecided(parts, live)
    const held = new Set(live.held)
    const moving = live.pending.filter((recipient) => !held.has(recipient))
    if (moving.length > 0) await parts.pipeline.requeue(stored, moving)
    if (live.held.length > 0) await parts.pipeline.rehold(stored, live.held)
    parts.events.requeued({ id: live.id, reason })
    return true
  } catch (error) {
    parts.log.error({ id: live.id, err: error }, 'message could not be queued again')
    return false
  }
}
