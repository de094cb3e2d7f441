import type { ProtocolVersion } from './protocol.ts'

/** How one filter process is run. */
export interface FilterSettings {
  /** The version the filter was written for. */
  readonly protocol: ProtocolVersion
  /** For the answer to one question, and for `register|ready`. */
  readonly timeoutMs: number
  /** From the end of a message to the end of what the filter makes of it. */
  readonly dataTimeoutMs: number
  /** While the filter cannot answer: mail waits (451), or goes on without it. */
  readonly onFailure: 'tempfail' | 'proceed'
  /** Before the first restart; doubles with each failure, up to a minute. */
  readonly restartMs: number
  /** Where commands without a path are looked for. */
  readonly folder: string
}

export const defaultFilterSettings: FilterSettings = {
  protocol: '0.7',
  timeoutMs: 60_000,
  dataTimeoutMs: 240_000,
  onFailure: 'tempfail',
  restartMs: 1_000,
  folder: '/usr/libexec/opensmtpd',
}
