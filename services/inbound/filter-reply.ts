import type { Reply } from '../../shared/mail/reply.ts'

/** What a filter's text means that is no reply, as in OpenSMTPD. */
const unusable: Reply = { code: 421, enhanced: '4.3.0', text: 'Internal server error' }

/** The reply in the text of `reject` and `disconnect`: `550 5.7.1 go away`, or `550 go away`, which is policy. Only 4xx and 5xx refuse. */
export function parseFilterReply(text: string): Reply {
  const match = /^([45]\d\d)(?: ([45]\.\d{1,3}\.\d{1,3})(?= |$))?(?: (.*))?$/s.exec(text)
  if (match?.[1] === undefined) return unusable
  const code = Number(match[1])
  return { code, enhanced: match[2] ?? `${Math.trunc(code / 100)}.7.1`, text: match[3] ?? '' }
}
