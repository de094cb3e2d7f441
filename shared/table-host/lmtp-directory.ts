import type { ExternalTable, TableAnswer } from '../config/external-table.ts'
import type { Logger } from '../log.ts'
import { formatReply, isPermanent, isPositive } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { OpenError } from '../smtp-client/client-error.ts'
import { lmtpEndpoint } from '../smtp-client/lmtp-endpoint.ts'
import { openConnection, plainText } from '../smtp-client/open-connection.ts'

export interface LmtpDirectoryOptions {
  /** A socket's path or `host[:port]`. */
  readonly destination: string
  readonly helo: string
  readonly log: Logger
  /** Epoch ms. */
  readonly now: () => number
  /** For each of its replies. */
  readonly timeoutMs?: number
}

const foundMs = 5 * 60_000
const notFoundMs = 60_000
/** While a server is away its users are not asked for. */
const awayMs = 5_000

/**
 * The mailboxes an LMTP server has: asked by RCPT, in a transaction that ends there. Only a plain "no such user" is one. When the
 * server is away or cannot tell, the user counts as known, and the next question is a new one: mail that is accepted waits until
 * delivery knows, mail that is refused is gone.
 */
export function openLmtpDirectory(options: LmtpDirectoryOptions): ExternalTable {
  const { destination, helo, log, now, timeoutMs = 5_000 } = options
  const endpoint = lmtpEndpoint(destination, new Map())
  const closing = new AbortController()
  let awayUntil = 0

  async function ask(address: string): Promise<Reply> {
    const { signal } = closing
    const timeouts = { connectMs: timeoutMs, greetingMs: timeoutMs, helloMs: timeoutMs, envelopeMs: timeoutMs }
    const connection = await openConnection({ endpoint, protocol: 'lmtp', helo, tls: plainText, timeouts, signal })
    try {
      return await connection.verify({ address })
    } finally {
      void connection.close()
    }
  }

  async function check(address: string): Promise<TableAnswer> {
    if (now() < awayUntil) return unknown
    try {
      const reply = await ask(address)
      if (isPositive(reply)) return { value: '', keepMs: foundMs }
      if (isNoSuchUser(reply)) return { value: undefined, keepMs: notFoundMs }
      log.warn(
        { destination, address, reply: formatReply(reply) },
        'mailbox server cannot tell whether there is a user',
      )
    } catch (error) {
      if (!(error instanceof OpenError)) throw error
      awayUntil = now() + awayMs
      log.warn({ destination, reply: formatReply(error.reply) }, 'mailbox server is away: its users count as known')
    }
    return unknown
  }

  return {
    lookup: (_service, address) => check(address),
    check: (_service, address) => check(address),
    fetch: () => Promise.reject(new Error('a mailbox server has no list of its users')),
    update: () => Promise.resolve(),
    close() {
      closing.abort()
      return Promise.resolve()
    },
  }
}

const unknown: TableAnswer = { value: '', keepMs: 0 }

/** 552 5.2.2 is a user whose mailbox is full; 554 5.7.1 says nothing of users; 5.6.7 is a user no such server can have. */
function isNoSuchUser(reply: Reply): boolean {
  return isPermanent(reply) && [550, 551, 553].includes(reply.code) && /^5\.(?:1\.|6\.7)/.test(reply.enhanced ?? '5.1.')
}
