import { readMail } from '../classifier/readable-mail.ts'
import type { Clock } from '../clock.ts'
import type { AdminNotice, Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Logger } from '../log.ts'
import type { Quarantine } from '../mail/disposition.ts'
import { noticeEnvelope } from '../mail/envelope.ts'
import type { Envelope } from '../mail/envelope.ts'
import { derivedMessageId, newMessageId } from '../mail/message-id.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { readableLine } from '../quarantine/readable-line.ts'
import type { Queues } from '../queue/queues.ts'
import { formatDuration, formatSecond, plural } from '../report/units.ts'
import { composeNotice } from './compose-notice.ts'

export interface NoticeParts {
  readonly configuration: Configuration
  readonly queues: Pick<Queues, 'tallies'>
  readonly pipeline: Pick<Pipeline, 'submit'>
  readonly events: Pick<Events, 'reported'>
  readonly clock: Clock
  readonly log: Logger
}

/** What the filter found in a message, and what becomes of it. */
export interface Finding {
  readonly kind: Quarantine
  readonly reason: string
  readonly action: string
}

const mostRecipients = 10
const names: Readonly<Record<Quarantine, string>> = { virus: 'a virus', spam: 'spam', banned: 'a banned file' }

/**
 * Tells who `notify` names of mail that own users should not have sent, or of mail with its tag. Beyond the limit only the number is
 * told, by `sendNoticeSummaries`. Never rejects: no mail waits for a notice. The same message gives the same notice.
 */
export async function notifyAdmins(
  parts: NoticeParts,
  envelope: Envelope,
  header: Buffer,
  finding: Finding,
): Promise<void> {
  for (const notice of parts.configuration.pipeline.notices.admins) {
    if (!notice.of.includes(finding.kind) || !isAbout(notice, envelope)) continue
    try {
      await notifyOne(parts, notice, envelope, { header, finding })
    } catch (error) {
      parts.log.error({ id: envelope.id, err: error }, 'a notice could not be sent')
    }
  }
}

/** What is made here is never told: a notice about a notice would go on for ever. */
function isAbout({ tag }: AdminNotice, { origin, tags }: Envelope): boolean {
  if (origin.kind === 'local') return false
  if (tag === undefined) return origin.user !== undefined
  return tags.some((one) => one.toLowerCase() === tag.toLowerCase())
}

async function notifyOne(
  { configuration, queues, pipeline, events, clock }: NoticeParts,
  notice: AdminNotice,
  envelope: Envelope,
  { header, finding }: { readonly header: Buffer; readonly finding: Finding },
): Promise<void> {
  const { kind, reason, action } = finding
  const { to, limit } = notice
  const nowAt = clock.now()
  const key = tallyKey(notice, kind, Math.floor(nowAt / limit.periodMs))
  const [count = 0] = await queues.tallies.merge([{ key, amount: 1, keepMs: 3 * limit.periodMs }])
  if (count > limit.count) return
  const id = derivedMessageId(envelope.id, `notice.${kind}.${to}`)
  const { fields } = readMail(header)
  const subject = fields.find(({ name }) => name === 'subject')?.value ?? '(none)'
  const { origin, recipients } = envelope
  const mailboxes = recipients.slice(0, mostRecipients).map(({ mailbox }) => readableLine(mailbox))
  const lines = [
    `A message with ${names[kind]} was sent through ${configuration.hostname}.`,
    '',
    `Found:      ${readableLine(reason)}`,
    `What was done: ${action}`,
    `User:       ${readableLine(origin.user ?? '(not signed in)')}`,
    `Client:     ${readableLine(origin.address ?? '(this host)')}`,
    `Sender:     ${readableLine(envelope.reversePath ?? '<>')}`,
    `Recipients: ${recipients.length}: ${mailboxes.join(', ')}${recipients.length > mostRecipients ? ', ...' : ''}`,
    `Subject:    ${readableLine(subject)}`,
    `Message:    ${envelope.id}`,
  ]
  const content = composeNotice({
    id,
    hostname: configuration.hostname,
    to,
    nowAt,
    subject: `Outgoing mail with ${names[kind]}`,
    lines,
  })
  await pipeline.submit(noticeEnvelope(id, to, nowAt), content)
  events.reported({ id, about: envelope.id, to, action: `notice of ${kind}` })
}

/**
 * Tells how many messages were not told in the period that is over, once for all processes. @returns how many summaries were sent
 * @throws QueueUnavailableError
 */
export async function sendNoticeSummaries(parts: NoticeParts): Promise<number> {
  const { configuration, queues, clock } = parts
  const nowAt = clock.now()
  let sent = 0
  for (const notice of configuration.pipeline.notices.admins) {
    const { limit } = notice
    const period = Math.floor(nowAt / limit.periodMs) - 1
    for (const kind of notice.of) {
      const key = tallyKey(notice, kind, period)
      const [count = 0] = await queues.tallies.merge([{ key, amount: 0, keepMs: 0 }])
      if (count <= limit.count) continue
      const [mark = 0] = await queues.tallies.merge([{ key: `${key}:told`, amount: 1, keepMs: 3 * limit.periodMs }])
      if (mark > 1) continue
      await sendSummary(parts, notice, { kind, untold: count - limit.count, until: (period + 1) * limit.periodMs })
      sent += 1
    }
  }
  return sent
}

async function sendSummary(
  { configuration, pipeline, clock }: NoticeParts,
  { to, limit }: AdminNotice,
  { kind, untold, until }: { readonly kind: Quarantine; readonly untold: number; readonly until: number },
): Promise<void> {
  const nowAt = clock.now()
  const id = newMessageId(nowAt)
  const lines = [
    `In the ${formatDuration(limit.periodMs)} before ${formatSecond(until)}, ${plural(untold, 'more message')} with ${names[kind]} went through ${configuration.hostname}.`,
    `After ${limit.count} notices in that time no others were sent.`,
  ]
  const subject = `${untold} more outgoing messages with ${names[kind]}`
  const content = composeNotice({ id, hostname: configuration.hostname, to, nowAt, subject, lines })
  await pipeline.submit(noticeEnvelope(id, to, nowAt), content)
}

function tallyKey({ to, tag }: AdminNotice, kind: Quarantine, period: number): string {
  return `notice:${kind}:${tag ?? ''}:${to}:${period}`
}
