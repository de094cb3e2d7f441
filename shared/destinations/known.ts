import { join } from 'node:path'

import type { HopTls } from '../mail/disposition.ts'
import type { ReplyClass } from '../mail/reply-class.ts'

/** How a destination took mail, as one process knows it and as all do together. */
export interface DestinationHistory {
  /** Domain or smarthost. */
  readonly name: string
  /** Of the last 24 hours, in order; those without an attempt are absent. */
  readonly hours: readonly DestinationHour[]
  /** What was said against it, the latest of each class. */
  readonly refusals: readonly Refusal[]
  /** How the last attempt that a host answered was secured. */
  readonly tls?: SeenTls
  /** What the domain demands of TLS, when that was last looked for. */
  readonly policy?: SeenPolicy
  /** Epoch ms. */
  readonly lastAt: number
}

/** Copies, by what became of their attempts. */
export interface DestinationHour {
  /** When it began, epoch ms. */
  readonly at: number
  readonly sent: number
  readonly later: number
  readonly refused: number
}

export interface Refusal {
  readonly replyClass: ReplyClass
  readonly times: number
  /** The latest, at most 500 characters, and who said it: `mx.example.org[192.0.2.1]:25`. */
  readonly reply: string
  readonly host?: string
  readonly at: number
}

export interface SeenTls {
  /** Version and cipher; absent: plain text. */
  readonly session?: string
  readonly trust?: HopTls['trust']
  /** It offered STARTTLS, and plain text was spoken all the same. */
  readonly unused?: true
  readonly at: number
}

export interface SeenPolicy {
  readonly type: 'dane' | 'mta-sts' | 'none'
  /** Why a host or a session did not meet it; absent: it did. */
  readonly failure?: string
  readonly at: number
}

export const hourMs = 3_600_000
export const keptHours = 24

export function destinationsFolder(dataFolder: string): string {
  return join(dataFolder, 'run', 'destinations')
}
