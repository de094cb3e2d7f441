import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { Quarantine } from '../mail/disposition.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Tag } from '../mail/tag.ts'
import type { Locator } from '../spool/spool.ts'

/** Of the jobs that are made. Workers take this one and the one before, so that an upgrade may go through the services one by one. */
export const jobSchema = 1 as const

/** A job of a newer version waits for a worker of that. */
export function isReadableJob({ v }: { readonly v: number }): boolean {
  return v === jobSchema || v === jobSchema - 1
}

/**
 * What a job carries: what changes on the way. What never changes (origin, DSN parameters, content) is read from the
 * spool record that `at` points to. A few hundred octets; never content.
 */
export interface StageJob {
  /** `jobSchema` of the version that made it. */
  readonly v: typeof jobSchema
  readonly id: MessageId
  readonly at: Locator
  readonly from: ReversePath
  /** Whose mail it is, where that is not the domain of `from`: the user who signed in, or the client of a null reverse-path. */
  readonly sender?: string
  /** Indexes into the envelope's recipients this job is about, and where they go (for lists and lanes). */
  readonly rcpt: readonly number[]
  readonly to: readonly Mailbox[]
  readonly tags: readonly Tag[]
  /** All edits so far, those of acceptance included. */
  readonly edits: readonly HeaderEdit[]
  /** Epoch ms of acceptance, or of the later time the sender asked for; nothing is done before. */
  readonly receivedAt: number
  /** Queues visited before this one, in order. */
  readonly path: readonly string[]
  /** Name of the action of smtpd.conf to carry out; looked up at each attempt. */
  readonly action?: string
  /** Relay: the next domain or smarthost. */
  readonly destination?: string
  /** Relay: an operator sends it there, whatever the action says. */
  readonly order?: RelayOrder
  /** Epoch ms of the last decision of an operator that its recipients, action and destination follow; the outcome log has it. */
  readonly decidedAt?: number
  /** Relay: the lane it last went or waited by, of domains with the same MX; absent until it has to wait. */
  readonly lane?: string
  /** Of a replay: its jobs have other ids than those that went the same way before. */
  readonly series?: string
  /** Attempts that ended in a temporary failure. */
  readonly attempts: number
  /** The last such reply, one line. */
  readonly lastReply?: string
  /** Made by a rebuild or a replay: read the outcome log before the first attempt too. */
  readonly recheck?: boolean
  /** Delay warnings sent so far. */
  readonly warned?: number
  /** Its last start was stopped in the middle, or its result could not be kept; a crash is known to the queue itself. */
  readonly brokenOff?: true
  /** An operator wants it back with its sender: the next start returns it in place of an attempt. */
  readonly returned?: boolean
  /** Of the message's envelope. */
  readonly trace?: string
  /** Why the job lies in the queue `held`; absent elsewhere. */
  readonly held?: HeldEvidence
  /** Only the stage's decision is asked for; of a message that is not accepted `at` is the place of its draft. */
  readonly question?: Question
}

/** Who waits for the decision, and how long. */
export interface Question {
  /** Epoch ms; later nobody needs to look at the message. */
  readonly untilAt: number
  /** Of Redis, where the answer is awaited. */
  readonly channel: string
  /** About a message that was accepted long ago: nothing is told or sent because of it. */
  readonly dry?: true
}

/** What an operator reads about a held job; `queue` is where a release puts it back. */
export interface HeldEvidence {
  readonly queue: string
  readonly reason: string
  /** A filter keeps it back, not trouble or an operator. */
  readonly quarantine?: Quarantine
  readonly at: number
  /** How often the job was started there. */
  readonly starts: number
  /** Starts that never came to an end (the process died or lost Redis); more than 5 make a job poison. */
  readonly crashes: number
  /** `host:pid` of the worker that had it last. */
  readonly worker?: string
}

/** A job to add: the queue, its deterministic id, its data. */
export interface NewJob {
  readonly queue: string
  /** `<messageId>.<step>.<group>`; no ':' and not all digits. */
  readonly jobId: string
  readonly data: StageJob
  readonly delayMs?: number
  /** Runs before all jobs that wait. */
  readonly first?: boolean
}

/** The queue of jobs that wait for an operator; it has no workers. A held job keeps its id. */
export const heldQueue = 'held'
