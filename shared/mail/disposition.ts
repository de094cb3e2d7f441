import type { HeaderEdit } from './header-edit.ts'
import type { Reply } from './reply.ts'
import type { Tag } from './tag.ts'

/** What one attempt did for one recipient. The reply's code says which: 2xx delivered or relayed, 4xx again later, 5xx failed. */
export interface DeliveryAttempt {
  /** Index into the envelope's recipients. */
  readonly recipient: number
  readonly reply: Reply
  /** `local`: the mailbox has it (DSN action `delivered`); `remote`: the next hop has it (`relayed`). */
  readonly reached: 'local' | 'remote'
  /** The host that answered, `mx.example.org[192.0.2.1]:25`; absent when none did. */
  readonly remoteMta?: string
  /** The TLS it was reached by; absent: plain text, or no connection. */
  readonly tls?: HopTls
  /** It offered STARTTLS, and plain text was spoken all the same. */
  readonly tlsUnused?: true
  /** The next hop offers DSN and was given the parameters: it reports from now on (RFC 3461 §6.2). */
  readonly dsnPassedOn?: boolean
  /** What was said, a line each; of the recipients of a transaction the first has it, where it is asked for (`events smtp-talk`). */
  readonly talk?: readonly string[]
}

/** `trust`: whose demand the host's certificate met; `unverified`: nobody's, it was not looked at. */
export interface HopTls {
  /** Version and cipher: `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
  readonly session: string
  readonly trust: 'unverified' | 'verified' | 'mta-sts' | 'dane'
}

/** Why a filter keeps a message back. Released by an operator, it goes on past that filter; kept too long, it is discarded. */
export type Quarantine = 'virus' | 'spam' | 'banned'

/** What a stage decided about a message. What a stage throws means 451: again on the schedule. */
export type Disposition =
  /** `also`: tags beside the stage's own, for rules that look closer. */
  | { readonly kind: 'pass'; readonly tag: Tag; readonly also?: readonly Tag[]; readonly edits?: readonly HeaderEdit[] }
  /** `laneName`: relay, what the operator knows the lane by. */
  | { readonly kind: 'settled'; readonly attempts: readonly DeliveryAttempt[]; readonly laneName?: string }
  | { readonly kind: 'reject'; readonly reply: Reply }
  | { readonly kind: 'hold'; readonly reason: string; readonly quarantine?: Quarantine }
  | { readonly kind: 'discard'; readonly reason: string }
  /** No attempt was made: again after `delayMs`, or with `lane` as soon as one that is at work for the destination is done. */
  | {
      readonly kind: 'postpone'
      readonly delayMs: number
      readonly reason: string
      readonly lane?: Lane
      readonly laneName?: string
    }

/** A destination and how many jobs may be at work for it at a time. */
export interface Lane {
  readonly destination: string
  readonly limit: number
}

export function pass(tag: Tag, edits: readonly HeaderEdit[] = [], also: readonly Tag[] = []): Disposition {
  return { kind: 'pass', tag, edits, ...(also.length === 0 ? {} : { also }) }
}

export function settled(attempts: readonly DeliveryAttempt[]): Disposition {
  return { kind: 'settled', attempts }
}

export function reject(reply: Reply): Disposition {
  return { kind: 'reject', reply }
}

export function hold(reason: string): Disposition {
  return { kind: 'hold', reason }
}

export function quarantine(quarantine: Quarantine, reason: string): Disposition {
  return { kind: 'hold', reason, quarantine }
}

export function discard(reason: string): Disposition {
  return { kind: 'discard', reason }
}

export function postpone(delayMs: number, reason: string, lane?: Lane): Disposition {
  return { kind: 'postpone', delayMs, reason, ...(lane === undefined ? {} : { lane }) }
}
