import type { SessionSettings } from '../../shared/config/session-rules.ts'

/** Bounds of sessions, `limit` and `greeting wait` of pipeline.conf: nothing a client does or fails to do holds memory, a socket or a handler for ever. */
export interface SessionLimits {
  /** Connections at a time, of this process. */
  readonly connections: number
  /** Of one IPv4 address or one IPv6 /64. */
  readonly connectionsPerAddress: number
  /** From accept to the end of the PROXY header, where one is due. */
  readonly proxyHeaderMs: number
  /** Before the greeting, for a client not known to wait for it, unless TLS comes first. */
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

/** What pipeline.conf may say otherwise, by its name there. */
const words = [
  ['connections', 'connections'],
  ['connectionsPerAddress', 'connectionsPerClient'],
  ['greetingWaitMs', 'greetingWaitMs'],
  ['idleMs', 'idleMs'],
  ['lineMs', 'commandMs'],
  ['sessionMs', 'sessionMs'],
  ['dataIdleMs', 'dataIdleMs'],
  ['dataMs', 'dataMs'],
  ['headerBytes', 'headerBytes'],
  ['hops', 'hops'],
  ['lineBytes', 'lineBytes'],
  ['errors', 'errors'],
  ['refusedRecipients', 'recipientsRefused'],
  ['idleCommands', 'commands'],
  ['authFailures', 'authFailures'],
] as const

/** `limits` with what pipeline.conf says otherwise. */
export function statedLimits(limits: SessionLimits, stated: SessionSettings): SessionLimits {
  const result: Record<keyof SessionLimits, number> = { ...limits }
  for (const [name, word] of words) result[name] = stated[word] ?? limits[name]
  result.dataGraceMs = stated.dataRate?.afterMs ?? limits.dataGraceMs
  result.dataOctetsPerSecond = stated.dataRate?.bytesPerSecond ?? limits.dataOctetsPerSecond
  return result
}
