import type { Reception } from './reception.ts'
import { xclientAttributes } from './xclient.ts'
import { xforwardAttributes } from './xforward.ts'

/** Where a session stands. */
interface SessionState {
  /** In TLS. */
  readonly secure: boolean
  readonly user: string | undefined
}

/**
 * The lines of EHLO behind the first: only what is carried to the end is offered (RFC 5321 §4.1.1.1).
 * @param may what is taken as the session stands now: AUTH, XCLIENT, XFORWARD
 */
export function offeredExtensions(
  {
    listener,
    login,
    configuration,
    clock,
    manners,
  }: Pick<Reception, 'listener' | 'login' | 'configuration' | 'clock' | 'manners'>,
  { secure, user }: SessionState,
  may: { readonly showPassword: boolean; readonly forward: boolean; readonly tellUpstream: boolean },
): string[] {
  const { maxMessageBytes, maxMailsPerSession, maxRecipients, pipeline } = configuration
  const { smtpUtf8, maxHoldMs, etrn, expn } = pipeline.extensions
  const offered = ['PIPELINING', `SIZE ${maxMessageBytes}`, '8BITMIME', 'CHUNKING', 'ENHANCEDSTATUSCODES']
  // RFC 9422: refused or unfinished transactions do not count here, so more MAIL may be taken than that.
  offered.push(`LIMITS MAILMAX=${maxMailsPerSession} RCPTMAX=${maxRecipients}`)
  if (etrn !== undefined) offered.push('ETRN')
  if (manners.vrfy) offered.push('VRFY')
  if (expn !== undefined) offered.push('EXPN')
  if (!listener.noDsn) offered.push('DSN')
  if (smtpUtf8) offered.push('SMTPUTF8')
  if (secure) offered.push('REQUIRETLS')
  if (maxHoldMs !== undefined && mayHold(listener, user)) offered.push(futureRelease(maxHoldMs, clock.now()))
  if (!secure && listener.tls !== 'none') offered.push('STARTTLS')
  const mayAuth = may.showPassword && listener.auth.kind !== 'none' && user === undefined
  if (mayAuth && login.mechanisms.length > 0) offered.push(`AUTH ${login.mechanisms.join(' ')}`)
  if (may.forward) offered.push(`XCLIENT ${xclientAttributes}`)
  if (may.tellUpstream) offered.push(`XFORWARD ${xforwardAttributes}`)
  return offered
}

/** Who is, or must have become, a user before MAIL: RFC 4865 is for submission. */
function mayHold(listener: Reception['listener'], user: string | undefined): boolean {
  return user !== undefined || listener.auth.kind === 'required'
}

/** The longest delay in seconds, and the date it leads to now (RFC 4865 §4). */
function futureRelease(maxMs: number, nowAt: number): string {
  const until = new Date(nowAt + maxMs).toISOString().replace(/\.\d+Z$/, 'Z')
  return `FUTURERELEASE ${Math.floor(maxMs / 1_000)} ${until}`
}
