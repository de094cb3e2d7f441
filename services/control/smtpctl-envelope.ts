import type { Configuration } from '../../shared/config/model.ts'
import type { Envelope, Notify } from '../../shared/mail/envelope.ts'
import type { JobView } from '../../shared/report/views.ts'
import { agentOf, seconds, ttlMsOf } from './smtpctl-lines.ts'
import { visible } from './terminal.ts'

export interface WaitingCopy {
  /** As operators' decisions leave it. */
  readonly envelope: Envelope
  /** Its index in the envelope. */
  readonly recipient: number
  /** Absent: it has none, or nobody knows. */
  readonly job?: JobView
}

/**
 * The lines of `smtpctl show envelope` (OpenSMTPD 6.8 and 7, version 3 of its envelopes), for scripts that read them: `name: value`, in its order,
 * without what has no value. `ttl` is that of the action or the server where OpenSMTPD has 0 for the server's, `last-try` is told, and `esc-code`
 * is that of the last reply. What OpenSMTPD keeps for its deliveries alone (`mda-...`) is not there.
 */
export function smtpctlEnvelope(
  { envelope, recipient, job }: WaitingCopy,
  configuration: Pick<Configuration, 'actions' | 'hostname' | 'queueTtlMs'>,
): readonly string[] {
  const { origin, reversePath, dsn, receivedAt } = envelope
  const { mailbox, original, notify, orcpt } = envelope.recipients[recipient] ?? { mailbox: '' }
  const error = job?.lastReply ?? job?.reason
  const [escClass, escCode] = statusOf(error)
  const fields: readonly (readonly [name: string, value: string | number | undefined])[] = [
    ['version', 3],
    ['dispatcher', job?.action],
    ['tag', (job?.tags ?? envelope.tags).join(',')],
    ['type', job === undefined ? undefined : agentOf(job)],
    ['smtpname', configuration.hostname],
    ['helo', origin.helo],
    ['hostname', origin.rdns],
    ['username', origin.user],
    ['errorline', error],
    ['sockaddr', origin.address],
    ['sender', reversePath ?? '@'],
    ['rcpt', original ?? mailbox],
    ['dest', mailbox],
    ['ctime', seconds(receivedAt)],
    ['last-try', seconds(job?.startedAt ?? 0)],
    ['last-bounce', 0],
    ['ttl', seconds(ttlMsOf(job?.action, configuration))],
    ['retry', job?.attempts ?? 0],
    ['flags', origin.user === undefined ? undefined : 'authenticated'],
    ['dsn-notify', maskOf(notify ?? [])],
    ['dsn-ret', dsn?.ret?.toUpperCase()],
    ['dsn-envid', dsn?.envid],
    ['dsn-orcpt', orcpt?.replace(/^rfc822;/i, '')],
    ['esc-class', escClass],
    ['esc-code', escCode],
  ]
  return fields.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name}: ${visible(String(value))}`],
  )
}

const notifyBits: Readonly<Record<Notify, number>> = { success: 1, failure: 2, delay: 4, never: 8 }

function maskOf(notify: readonly Notify[]): number {
  return notify.reduce((mask, one) => mask + notifyBits[one], 0)
}

/** Class and code as OpenSMTPD numbers them: 4.2.1 is 4 and 21; 0 where there is none. */
function statusOf(reply = ''): readonly [escClass: number, escCode: number] {
  const [, code, , subject = '0', detail = '0'] = /^([245])\d\d[ -](?:([245])\.(\d)\.(\d)\b)?/.exec(reply) ?? []
  return [Number(code ?? 0), Number(`${subject}${detail}`)]
}
