import type { QuotaStatusSettings } from '../../shared/config/model.ts'
import type { FilterTally } from '../../shared/filter-tally/tally.ts'
import { quotaStatusName } from '../../shared/filter-tally/names.ts'
import type { Logger } from '../../shared/log.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { openPolicyClient } from './policy-client.ts'
import { parseReply } from '../../shared/restrictions/replies.ts'

/** A recipient whose mailbox is here, and the mail for it as far as it is known at RCPT. */
export interface QuotaQuestion {
  readonly mailbox: Mailbox
  readonly reversePath: ReversePath
  readonly origin: Origin
  /** Of MAIL; absent: the client did not say. */
  readonly sizeBytes?: number
}

/** Asks a policy service, such as Dovecot's quota-status, whether a mailbox has room. */
export interface QuotaStatus {
  /** Why the mailbox takes nothing. Never throws: with a service that is away it is as `on-failure` says. */
  refusal(question: QuotaQuestion): Promise<Reply | undefined>
  close(): Promise<void>
}

/** Absent: nobody is asked. */
export function openQuotaStatus(
  settings: QuotaStatusSettings | undefined,
  log: Pick<Logger, 'warn'>,
  tally?: Pick<FilterTally, 'answered'>,
): QuotaStatus | undefined {
  if (settings === undefined) return undefined
  const { place, timeoutMs, onFailure } = settings
  const client = openPolicyClient({ place, timeoutMs })
  return {
    async refusal(question) {
      const startedAt = performance.now()
      const told = (status: 'ok' | 'failed', reason?: string): void =>
        tally?.answered(quotaStatusName, {
          status,
          tookMs: performance.now() - startedAt,
          ...(reason === undefined ? {} : { reason }),
        })
      try {
        const answer = await client.ask(attributesOf(question))
        told('ok')
        return answer.kind === 'refuse' ? aboutMailbox(parseReply(answer.reply), question.mailbox) : undefined
      } catch (error) {
        told('failed', (error as Error).message)
        log.warn({ err: error, mailbox: question.mailbox }, `quota status: ${onFailure}`)
        return onFailure === 'tempfail' ? replies.tryLater : undefined
      }
    },
    close: () => client.close(),
  }
}

function attributesOf({ mailbox, reversePath, origin, sizeBytes }: QuotaQuestion): Readonly<Record<string, string>> {
  return {
    protocol_state: 'RCPT',
    protocol_name: 'ESMTP',
    client_address: origin.address ?? '',
    client_name: origin.rdns ?? 'unknown',
    helo_name: origin.helo ?? '',
    sender: reversePath ?? '',
    recipient: mailbox,
    sasl_username: origin.user ?? '',
    size: `${sizeBytes ?? 0}`,
  }
}

function aboutMailbox(reply: Reply, mailbox: Mailbox): Reply {
  return { ...reply, text: `<${mailbox}>: ${reply.text}` }
}
