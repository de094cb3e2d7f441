import type { Reply } from '../mail/reply.ts'
import { formatReply, isPositive } from '../mail/reply.ts'
import type { Capabilities } from './capabilities.ts'
import type { Channel } from './channel.ts'
import { lostReply, OpenError } from './client-error.ts'
import type { SmtpTimeouts } from './timeouts.ts'

export interface Credentials {
  readonly user: string
  readonly password: string
}

/**
 * AUTH PLAIN (RFC 4616), else LOGIN. To be called only inside TLS. A refusal is temporary: the password on either side
 * is what changes, and mail must not bounce for it.
 * @throws OpenError
 */
export async function authenticate(
  channel: Channel,
  credentials: Credentials,
  offered: Capabilities,
  timeouts: SmtpTimeouts,
): Promise<void> {
  const say = async (line: string): Promise<Reply> => {
    const { replies, lost } = await channel.exchange(`${line}\r\n`, 1, timeouts.helloMs, 'authenticating')
    if (replies[0] === undefined) throw new OpenError('auth', lost ?? lostReply('no reply to AUTH'))
    return replies[0]
  }
  const { user, password } = credentials
  if (offered.auth.has('PLAIN')) {
    return check(channel, await say(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`))
  }
  if (!offered.auth.has('LOGIN')) throw refused(channel, 'offers neither AUTH PLAIN nor AUTH LOGIN')
  let reply = await say('AUTH LOGIN')
  if (reply.code === 334) reply = await say(base64(user))
  if (reply.code === 334) reply = await say(base64(password))
  check(channel, reply)
}

function check(channel: Channel, reply: Reply): void {
  if (!isPositive(reply)) throw refused(channel, `refused our password: ${formatReply(reply)}`)
}

function refused(channel: Channel, text: string): OpenError {
  return new OpenError('auth', { code: 454, enhanced: '4.7.0', text: `${channel.peer} ${text}` })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
