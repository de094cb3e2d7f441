import type { ListenerChoice } from './listener-choice.ts'
import type { Position, Table } from './model.ts'

/** `rate`: how much a client or a user may do in a time that slides along, over all inbound processes. */
export interface RateRule {
  readonly at: Position
  /** Absent: all listeners. */
  readonly for?: ListenerChoice
  /** An IPv4 address or IPv6 /64; who has logged in. */
  readonly per: 'client' | 'user'
  readonly count: number
  readonly periodMs: number
  readonly unit: RateUnit
  /** Networks, or users, that it does not hold for. */
  readonly except?: Table
}

export type RateUnit = 'messages' | 'recipients' | 'connections'

/** `ban`: a client that does so much of it in a time is let in no more for another time. */
export interface BanRule {
  readonly at: Position
  readonly for?: ListenerChoice
  readonly count: number
  readonly offence: Offence
  readonly periodMs: number
  readonly durationMs: number
  /** Networks that are never banned. */
  readonly except?: Table
}

export type Offence = 'auth-failures' | 'protocol-errors' | 'refused-recipients'
