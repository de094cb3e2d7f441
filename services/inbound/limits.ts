import type { SessionSettings } from '../../shared/config/session-rules.ts'

/** Bounds of sessions, `limit` and `greeting wait` of pipeline.conf: nothing a client does or fails to do holds memory, a socket or a handler for ever. */
export interface SessionLimits {
  /** Connections at a time, of this process. */
  readonly connections: number
  /** Of one IPv4 address or one IPv6 /64. */
  readonly connectionsPerAddress: number
  /** From accept to the end of the PROXY header, where one is due. */
  readonly proxyHeaderMs: number
  /** Before the greeting, for a client not known to wait for it; only where strangers may send. */
  readonly greetingWaitMs: number
  /** Between two commands (RFC 5321 §4.5.3.2.7). */
  readonly idleMs: number
  /** From the first octet of a command line to its end, whatever trickles in. */
  readonly lineMs: number
  /** Without an accepted message. */
  readonly sessionMs: number
  /** One look-up, password or disk write behind a command. */
  readonly handlerMs: number
  /** Between two chunks of DATA. */
  readonly dataIdleMs: number
  /** After this DATA must have come at `dataOctetsPerSecond` on average. */
  readonly dataGraceMs: number
  readonly dataOctetsPerSecond: number
  readonly dataMs: number
  readonly headerBytes: number
  /** Received fields (RFC 5321 §6.3). */
  readonly hops: number
  /** Of a command line but AUTH, without its end. */
  readonly lineBytes: number
  /** Commands refused, but for recipients. */
  readonly errors: number
  readonly refusedRecipients: number
  /** NOOP, RSET, EHLO and the like without an accepted message between them. */
  readonly idleCommands: number
  readonly authFailures: number
  /** Before the first failure is answered; doubles with each. */
  readonly authDelayMs: number
  /** For sessions inside DATA at shutdown. */
  readonly drainMs: number
  /** How often the times are looked at. */
  readonly sweepMs: number
}

export const defaultLimits: SessionLimits = {
  connections: 5_000,
  connectionsPerAddress: 50,
  proxyHeaderMs: 10_000,
  greetingWaitMs: 50,
  idleMs: 300_000,
  lineMs: 60_000,
  sessionMs: 3_600_000,
  handlerMs: 300_000,
  dataIdleMs: 180_000,
  dataGraceMs: 60_000,
  dataOctetsPerSecond: 256,
  dataMs: 3_600_000,
  headerBytes: 262_144,
  hops: 100,
  lineBytes: 2_048,
  errors: 20,
  refusedRecipients: 200,
  idleCommands: 1_000,
  authFailures: 4,
  authDelayMs: 500,
  drainMs: 30_000,
  sweepMs: 1_000,
}

/** `limits` with what pipeline.conf says otherwise. */
export function statedLimits(limits: SessionLimits, stated: SessionSettings): SessionLimits {
  const { dataRate } = stated
  return {
    ...limits,
    connections: stated.connections ?? limits.connections,
    connectionsPerAddress: stated.connectionsPerClient ?? limits.connectionsPerAddress,
    greetingWaitMs: stated.greetingWaitMs ?? limits.greetingWaitMs,
    idleMs: stated.idleMs ?? limits.idleMs,
    lineMs: stated.commandMs ?? limits.lineMs,
    sessionMs: stated.sessionMs ?? limits.sessionMs,
    dataIdleMs: stated.dataIdleMs ?? limits.dataIdleMs,
    dataGraceMs: dataRate?.afterMs ?? limits.dataGraceMs,
    dataOctetsPerSecond: dataRate?.bytesPerSecond ?? limits.dataOctetsPerSecond,
    dataMs: stated.dataMs ?? limits.dataMs,
    headerBytes: stated.headerBytes ?? limits.headerBytes,
    hops: stated.hops ?? limits.hops,
    lineBytes: stated.lineBytes ?? limits.lineBytes,
    errors: stated.errors ?? limits.errors,
    refusedRecipients: stated.recipientsRefused ?? limits.refusedRecipients,
    idleCommands: stated.commands ?? limits.idleCommands,
    authFailures: stated.authFailures ?? limits.authFailures,
  }
}
