import type { QueueLimit } from '../queue/queues.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { Quarantine } from '../mail/disposition.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { StageEdits } from './edit-stages.ts'
import type { StoryLine } from './story.ts'
import type { FilterVerdict } from './verdicts.ts'

/** A queue as an operator looks at it. */
export interface QueueView {
  readonly name: string
  readonly paused: boolean
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly held: number
  /** So many are held in all queues that `held` counts only some of them. */
  readonly heldAtLeast?: boolean
  /** How long the next waiting job has been due; absent when nothing waits. */
  readonly oldestAgeMs?: number
  /** What an operator lets it do at most. */
  readonly limit?: QueueLimit
}

export type JobState = 'waiting' | 'active' | 'delayed' | 'held'

/** A message in a queue. */
export interface JobView {
  readonly queue: string
  readonly jobId: string
  readonly id: MessageId
  /** `done`: finished within the last hour; only among the jobs of one message. */
  readonly state: JobState | 'done'
  readonly receivedAt: number
  readonly sizeBytes: number
  readonly from: ReversePath
  readonly to: readonly Mailbox[]
  /** Indexes into the envelope's recipients. */
  readonly rcpt: readonly number[]
  readonly tags: readonly string[]
  /** Queues it passed before. */
  readonly path: readonly string[]
  readonly edits: readonly HeaderEdit[]
  readonly attempts: number
  /** Of its last start. */
  readonly startedAt?: number
  readonly nextAt?: number
  readonly lastReply?: string
  readonly action?: string
  readonly destination?: string
  /** Relay: the lane it went or waits by, of domains with the same MX. */
  readonly lane?: string
  /** Why it is held. */
  readonly reason?: string
  readonly heldAt?: number
  /** A filter holds it, not trouble or an operator. */
  readonly quarantine?: Quarantine
}

/** A job that is not done. */
export type OpenJob = JobView & { readonly state: JobState }

/** Something that may not answer: the page then says so instead of failing. */
export type Seen<T> = { readonly kind: 'seen'; readonly value: T } | { readonly kind: 'away'; readonly reason: string }

/** A transaction with a next hop. */
export interface NextTalk {
  readonly at: number
  /** Who it was with: `mx.example.org[192.0.2.1]:25`. */
  readonly host?: string
  readonly lines: readonly string[]
}

/** Everything known about one message, wherever it can still be read. */
export interface MessageView {
  readonly id: MessageId
  readonly acceptedAt: number
  /** `spool`: the message is there; `journal`: it has left the spool, its story remains. */
  readonly knownFrom: 'spool' | 'journal'
  readonly from: ReversePath
  readonly recipients: readonly RecipientView[]
  readonly sizeBytes?: number
  readonly origin: readonly OriginField[]
  readonly tags: readonly string[]
  /** What was done to its header section so far, one line each. */
  readonly edits: readonly string[]
  /** The same by the stage that did it, as far as that is known. */
  readonly stages: readonly StageEdits[]
  /** What the client that brought it and this host said, a line each; empty: it was not written down (`events smtp-talk`). */
  readonly talk: readonly string[]
  /** The same of each transaction with a next hop, in order. */
  readonly nextTalks: readonly NextTalk[]
  /** What the filter said, each time it was asked. */
  readonly verdicts: readonly FilterVerdict[]
  readonly jobs: Seen<readonly JobView[]>
  /** Those it came to, as its story tells. */
  readonly queues: readonly string[]
  readonly story: readonly StoryLine[]
}

export interface RecipientView {
  readonly mailbox: string
  /** The forward-path as the client gave it, when it differs. */
  readonly original?: string
  readonly state: RecipientState
  /** The last reply, or the reason. */
  readonly detail?: string
  readonly at?: number
  /** When it is tried again, after so many attempts; `detail` is why. */
  readonly nextAt?: number
  readonly attempts?: number
}

export type RecipientState =
  | 'delivered'
  | 'relayed'
  | 'failed'
  | 'discarded'
  | 'removed'
  | 'held'
  | 'delayed'
  | 'active'
  | 'waiting'
  /** Accepted, and no job is known yet: the sweeper adds it. */
  | 'accepted'

export interface OriginField {
  readonly name: string
  readonly value: string
}
