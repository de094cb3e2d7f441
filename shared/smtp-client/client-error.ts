import type { Reply } from '../mail/reply.ts'
import { SmtpError } from '../mail/reply.ts'

/** How far the opening of a connection came. */
export type OpeningPhase = 'connect' | 'greeting' | 'hello' | 'tls' | 'auth'

/** No session with the server came about; `reply` says why, in the server's words when it had any. */
export class OpenError extends SmtpError {
  readonly phase: OpeningPhase

  constructor(phase: OpeningPhase, reply: Reply, options?: ErrorOptions) {
    super(shortened(reply), options)
    this.name = 'OpenError'
    this.phase = phase
  }
}

/** A local reply for a connection that ended or fell silent; always temporary (RFC 3463 X.4.1, X.4.2). */
export function lostReply(text: string, enhanced: '4.4.1' | '4.4.2' = '4.4.2'): Reply {
  return { code: 451, enhanced, text }
}

/** Replies travel in jobs, logs and reports: a server that talks on and on is cut short. */
export function shortened(reply: Reply): Reply {
  return reply.text.length <= maxTextLength ? reply : { ...reply, text: `${reply.text.slice(0, maxTextLength)} ...` }
}

const maxTextLength = 1_000
