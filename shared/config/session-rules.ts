import { isChosen } from './listener-choice.ts'
import type { ListenerChoice } from './listener-choice.ts'
import type { Listener, Position, Table } from './model.ts'

/** What `limit`, `greeting`, `client-hello`, `client-certificate`, `banner`, `helo`, `vrfy` and `bare-line-ends` say; what is not written is absent, and as services/inbound/limits.ts has it. */
export interface SessionSettings {
  /** At a time, of one process: all together, of one client (an IPv4 address, an IPv6 /64), of one network (/24, /48). */
  readonly connections?: number
  readonly connectionsPerClient?: number
  readonly connectionsPerNetwork?: number
  /** Networks that only count into all connections. */
  readonly connectionsExcept?: Table
  /** Commands refused in a session, but for recipients. */
  readonly errors?: number
  /** Without an accepted message between them. */
  readonly commands?: number
  readonly recipientsRefused?: number
  readonly authFailures?: number
  /** Of a command line, its end not counted; AUTH has a limit of its own (RFC 4954 §4). */
  readonly lineBytes?: number
  readonly headerBytes?: number
  /** In place of `smtp max-message-size`. */
  readonly messageBytes?: number
  /** Received fields. */
  readonly hops?: number
  /** Between two commands. */
  readonly idleMs?: number
  /** From the first octet of a command line to its end. */
  readonly commandMs?: number
  /** Without an accepted message. */
  readonly sessionMs?: number
  readonly dataMs?: number
  /** Between two chunks of DATA. */
  readonly dataIdleMs?: number
  readonly dataRate?: DataRate
  /** Before the greeting, for a client that is not known to wait for it; 0: at once. */
  readonly greetingWaitMs?: number
  /** Where STARTTLS is required: how long TLS from the start may be begun instead; 0: it may not. */
  readonly clientHelloMs?: number
  /** In the handshake; a client without one is served as well. */
  readonly asksCertificate?: boolean
  /** Behind 220; `%{hostname}` is our name. */
  readonly banner?: string
  /** MAIL needs EHLO or HELO before it. */
  readonly heloRequired?: boolean
  readonly vrfy?: boolean
  readonly bareLineEnds?: BareLineEnds
}

/** On average, once DATA has lasted `afterMs`. */
export interface DataRate {
  readonly bytesPerSecond: number
  readonly afterMs: number
}

/** A line end that is not CR LF: refused, made one, or made one for users who have logged in. */
export type BareLineEnds = 'reject' | 'repair' | 'repair-users'

/** One statement. */
export interface SessionRule {
  readonly at: Position
  /** Absent: all listeners. */
  readonly for?: ListenerChoice
  readonly settings: SessionSettings
}

/** What holds for a listener: what is said of it wins over what is said of all. */
export function sessionSettings(rules: readonly SessionRule[], listener: Listener): SessionSettings {
  return { ...generalSettings(rules), ...chosenSettings(rules, listener) }
}

/** Whether clients are asked for a certificate; with `verify` in smtpd.conf they must have one. */
export function asksForCertificate(
  { tls, verifyClient }: Pick<Listener, 'tls' | 'verifyClient'>,
  { asksCertificate = false }: SessionSettings,
): boolean {
  return tls !== 'none' && (verifyClient || asksCertificate)
}

/**
 * How long a listener awaits a ClientHello before its greeting: clients expect TLS from the start on port 465, whatever smtpd.conf says
 * of it. `undefined`: TLS begins in one way there.
 */
export function clientHelloWaitMs(
  { port, tls }: Pick<Listener, 'port' | 'tls'>,
  { clientHelloMs = port === 465 ? 1_000 : 0 }: SessionSettings,
): number | undefined {
  return tls === 'required' && clientHelloMs > 0 ? clientHelloMs : undefined
}

/** What a rule says to no purpose. */
export function uselessSetting(
  { for: choice, settings }: SessionRule,
  listeners: readonly Listener[],
): Fault | undefined {
  const chosen = choice === undefined ? listeners : listeners.filter((listener) => isChosen(choice, listener))
  const useless = (message: string): Fault => ({ code: 'no-effect', message, hint: 'remove it' })
  if (settings.clientHelloMs !== undefined && !chosen.some(({ tls }) => tls === 'required'))
    return useless('"client-hello" is for listeners with `tls-require`, and this is none')
  if (settings.asksCertificate === true && !chosen.some(({ tls, verifyClient }) => tls !== 'none' && !verifyClient))
    return useless('"client-certificate" is for listeners with TLS and without `verify`, and this is none')
  return undefined
}

interface Fault {
  readonly code: 'no-effect'
  readonly message: string
  readonly hint: string
}

/** What is said of all listeners. */
export function generalSettings(rules: readonly SessionRule[]): SessionSettings {
  return merged(rules.filter((rule) => rule.for === undefined))
}

/** What is said of this listener and not of all. */
export function chosenSettings(rules: readonly SessionRule[], listener: Listener): SessionSettings {
  return merged(rules.filter((rule) => rule.for !== undefined && isChosen(rule.for, listener)))
}

function merged(rules: readonly SessionRule[]): SessionSettings {
  return Object.assign({}, ...rules.map(({ settings }) => settings)) as SessionSettings
}
