import { noticeEnvelope } from '../mail/envelope.ts'
import type { Envelope } from '../mail/envelope.ts'
import { headerDefects } from '../mail/header-defects.ts'
import { fieldValue, headerFields } from '../mail/header-edit.ts'
import { derivedMessageId } from '../mail/message-id.ts'
import { isDeliveredHere } from '../pipeline/delivered-here.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { readableLine } from '../quarantine/readable-line.ts'
import type { NoticeParts } from './admin-notices.ts'
import { composeNotice } from './compose-notice.ts'

export interface BadHeaderParts extends NoticeParts {
  readonly pipeline: Pick<Pipeline, 'submit' | 'route'>
}

/**
 * Tells a user of ours that the header of what he sent is broken, at most as often as `notify senders` says. Only who has signed in
 * and writes in the name of a mailbox of this host is told, never a stranger, and no program that answers by itself (RFC 3834). Never
 * rejects: no mail waits for a notice. The same message gives the same notice.
 */
export async function notifyOfBadHeader(parts: BadHeaderParts, envelope: Envelope, header: Buffer): Promise<void> {
  const { configuration, queues, pipeline, events, clock, log } = parts
  const limit = configuration.pipeline.notices.badHeader
  const { id: about, origin, reversePath: to } = envelope
  if (limit === undefined || origin.kind !== 'smtp' || origin.user === undefined || to === null) return
  try {
    const defects = headerDefects(header, envelope.smtputf8 === true)
    if (defects.length === 0 || isOfProgram(header)) return
    const nowAt = clock.now()
    const id = derivedMessageId(about, 'notice.bad-header')
    const made = noticeEnvelope(id, to, nowAt)
    if (!(await isDeliveredHere(pipeline.route, made, 0, 0))) return
    const key = `notice:bad-header:${to.toLowerCase()}:${Math.floor(nowAt / limit.periodMs)}`
    const [count = 0] = await queues.tallies.merge([{ key, amount: 1, keepMs: limit.periodMs }])
    if (count > limit.count) return
    const { hostname } = configuration
    const lines = [
      `The header of a message that you sent through ${hostname} is not as it should be. It was sent on all the same, but others may refuse it.`,
      '',
      ...defects.map((defect) => `* ${defect}`),
      '',
      `Subject: ${readableLine(subjectOf(header))}`,
      `Message: ${about}`,
      '',
      'The program that wrote it is at fault: tell who maintains it.',
    ]
    const subject = 'The header of your message is broken'
    await pipeline.submit(made, composeNotice({ id, hostname, to, nowAt, subject, lines }))
    events.reported({ id, about, to, action: 'notice of a bad header' })
  } catch (error) {
    log.error({ id: about, err: error }, 'a notice could not be sent')
  }
}

/** It answers by itself, or writes to many: nobody reads what comes back, or a program would answer. */
function isOfProgram(header: Buffer): boolean {
  return headerFields(header).some((field) => {
    switch (field.name) {
      case 'auto-submitted':
        return !/^no\b/i.test(fieldValue(field))
      case 'precedence':
        return /^(?:bulk|junk|list)\b/i.test(fieldValue(field))
      case 'list-id':
      case 'x-auto-response-suppress':
        return true
      default:
        return false
    }
  })
}

function subjectOf(header: Buffer): string {
  const field = headerFields(header).find(({ name }) => name === 'subject')
  return field === undefined ? '(none)' : fieldValue(field)
}
