import { parseMailbox } from '../mail/address.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import type { JobSummary } from '../queue/queues.ts'
import { chooseJobs, isQuarantined, jobActions, takeTurns } from './many.ts'
import type { ManyAction, ManyDone } from './many.ts'
import type { BulkMessage, BulkOrder } from './bulk-order.ts'
import { OperationError } from './operation-error.ts'
import type { OperationParts } from './operations.ts'
import { readOrder } from './relay-order.ts'
import { replay } from './replay.ts'
import { isRelayed, rerouteJob } from './reroute.ts'

/** Jobs, or messages that are replayed. */
export interface PieceDone extends ManyDone {
  /** Why one of them was left. */
  readonly why?: string
}

/** Carries an order out on some messages. @throws QueueUnavailableError: they may have their turn again, without harm */
export type DoPiece = (messages: readonly BulkMessage[]) => Promise<PieceDone>

export interface BulkWork {
  /** @throws OperationError that says what is wrong with the order */
  check(order: BulkOrder): Promise<void>
  /** Looks for what waits of these messages. @throws OperationError, QueueUnavailableError */
  prepare(order: BulkOrder, messages: readonly BulkMessage[], by: string): Promise<DoPiece>
}

const replayedAtOnce = 4

export function createBulkWork(parts: OperationParts): BulkWork {
  return {
    async check(order) {
      if (order.copyTo !== undefined && parseMailbox(order.copyTo) === undefined)
        throw new OperationError(`'${order.copyTo}' is not an address`)
      await relayOrderOf(parts, order)
    },
    async prepare(order, messages, by) {
      const { action } = order
      if (action === 'replay') return (piece) => replayEach(parts, order, piece, by)
      const way = await relayOrderOf(parts, order)
      const act = (job: JobSummary): Promise<boolean> =>
        action === 'reroute' ? rerouteJob(parts, job, way, by) : jobActions[action](parts, job, by)
      return jobPieces(parts, { ...order, action }, messages, act)
    },
  }
}

async function relayOrderOf(parts: OperationParts, { action, way = {} }: BulkOrder): Promise<RelayOrder | undefined> {
  return action === 'reroute' ? readOrder(parts, way) : undefined
}

interface JobOrder extends BulkOrder {
  readonly action: ManyAction | 'reroute'
}

/** All queues are gone through once: a look for the jobs of each message would go through all of Redis each time. */
async function jobPieces(
  { queues }: OperationParts,
  order: JobOrder,
  messages: readonly BulkMessage[],
  act: (job: JobSummary) => Promise<boolean>,
): Promise<DoPiece> {
  const meant = new Map<string, ReadonlySet<number>>(messages.map(({ id, copies }) => [id, copies]))
  const mayHave = (job: JobSummary): boolean => {
    const copies = meant.get(job.data.id)
    return copies !== undefined && job.data.rcpt.some((one) => copies.has(one)) && isPossible(job, order)
  }
  const byMessage = new Map<string, string[]>()
  for (const name of await chooseJobs(queues, order.action, mayHave)) {
    const id = messageOf(name)
    byMessage.set(id, [...(byMessage.get(id) ?? []), name])
  }
  return (piece) => {
    const names = new Set(piece.flatMap(({ id }) => byMessage.get(id) ?? []))
    return takeTurns({ queues, names, mayHave }, act)
  }
}

function isPossible(job: JobSummary, { action, quarantined }: JobOrder): boolean {
  if (action === 'reroute' && !isRelayed(job)) return false
  if (action === 'hold' || !isQuarantined(job)) return true
  if (quarantined !== true) return false
  return action === 'remove' || (action === 'release' && job.data.held?.quarantine !== 'virus')
}

/** Of `queue jobId`. */
function messageOf(name: string): string {
  const jobId = name.slice(name.indexOf(' ') + 1)
  return jobId.slice(0, jobId.indexOf('.'))
}

async function replayEach(
  parts: OperationParts,
  { from, again, copyTo: to }: BulkOrder,
  piece: readonly BulkMessage[],
  by: string,
): Promise<PieceDone> {
  let done = 0
  let why: string | undefined
  const one = async (id: MessageId, only: ReadonlySet<number>): Promise<void> => {
    try {
      await replay(parts, id, { from, again, only, to }, by)
      done += 1
    } catch (error) {
      if (!(error instanceof OperationError)) throw error
      why ??= error.message
    }
  }
  for (let start = 0; start < piece.length; start += replayedAtOnce)
    await Promise.all(piece.slice(start, start + replayedAtOnce).map(({ id, copies }) => one(id, copies)))
  return { done, left: piece.length - done, ...(why === undefined ? {} : { why }) }
}
