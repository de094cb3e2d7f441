import type { Reply } from '../mail/reply.ts'
import type { RestrictionSubject } from '../config/model.ts'
import type { Question } from './question.ts'

const commands: Readonly<Record<RestrictionSubject, string>> = {
  client: 'Client host rejected',
  helo: 'Helo command rejected',
  sender: 'Sender address rejected',
  recipient: 'Recipient address rejected',
}

/** `<who>: Sender address rejected: why`. */
export function about(
  subject: RestrictionSubject,
  question: Question,
  [code, enhanced]: readonly [number, string],
  why: string,
): Reply {
  return { code, enhanced, text: `<${nameOf(subject, question)}>: ${commands[subject]}: ${why}` }
}

/** What a subject is called in a reply. */
export function nameOf(subject: RestrictionSubject, question: Question): string {
  switch (subject) {
    case 'client':
      return question.client.address
    case 'helo':
      return question.helo ?? ''
    case 'sender':
      return question.sender?.text ?? ''
    case 'recipient':
      return question.recipient?.text ?? ''
  }
}

/** `554 5.7.1 text` as it is, `554 text` with the enhanced code of policy. */
export function parseReply(written: string): Reply {
  const [, code = '554', enhanced, text = ''] =
    /^(\d{3}) ?(?:([45]\.\d{1,3}\.\d{1,3})(?: |$))?(.*)$/.exec(written) ?? []
  return {
    code: Number(code),
    enhanced: enhanced ?? `${code.charAt(0)}.7.1`,
    text: text === '' ? 'Access denied' : text,
  }
}
