import type { MessageId } from '../mail/message-id.ts'
import type { CopyState, MessageKind } from './copy-state.ts'

/** A message as a search finds it. */
export interface FoundMessage {
  readonly id: MessageId
  /** Accepted or, when it never was, refused. Epoch ms. */
  readonly at: number
  readonly kind: MessageKind
  /** `null` is the null reverse-path; absent: not known. */
  readonly from?: string | null
  readonly sizeBytes?: number
  readonly client?: string
  readonly user?: string
  readonly listener?: string
  readonly messageId?: string
  /** With `events subjects`. */
  readonly subject?: string
  /** Name of the host that has it, where several write into one store. */
  readonly host?: string
  readonly tags: readonly string[]
  /** The first of them, those that were asked for before the others. */
  readonly copies: readonly FoundCopy[]
  readonly copyCount: number
}

export interface FoundCopy {
  readonly mailbox?: string
  readonly state: CopyState
  /** The queue it is in, or had its outcome in. */
  readonly queue?: string
  /** Rules it went by, `file:line`. */
  readonly rules: readonly string[]
  /** What its refusal is about. */
  readonly class?: string
  /** What was said last, and by whom. */
  readonly remote?: string
  readonly nextAt?: number
  readonly at: number
}

/** Newest first. */
export interface FoundPage {
  readonly messages: readonly FoundMessage[]
  /** `before` of the page with older ones; absent: there are none. */
  readonly next?: string
}

/** All that a query finds, newest first. */
export interface ChosenMessages {
  readonly messages: readonly ChosenMessage[]
  /** There are more. */
  readonly isCut: boolean
}

export interface ChosenMessage {
  readonly id: MessageId
  /** Those that are meant: all of them, unless something is asked of a copy. */
  readonly copies: readonly ChosenCopy[]
}

export interface ChosenCopy {
  /** Index into the envelope's recipients; `firstRefused` and more: refused in the session. */
  readonly n: number
  readonly state: CopyState
}
