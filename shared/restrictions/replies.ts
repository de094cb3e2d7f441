import type { Reply } from '../mail/reply.ts'
import type { AccessSubject } from '../config/model.ts'
import type { Question } from './question.ts'

const commands: Readonly<Record<AccessSubject, string>> = {
  client: 'Client host rejected',
  helo: 'Helo command rejected',
  sender: 'Sender address rejected',
  recipient: 'Recipient address rejected',
  certificate: 'Client certificate rejected',
}

/** `<who>: Sender address rejected: why`; a client is told as `name[address]`. */
export async function about(
  subject: AccessSubject,
  question: Question,
  [code, enhanced]: readonly [number, string],
  why: string,
): Promise<Reply> {
  return { code, enhanced, text: `<${await nameOf(subject, question)}>: ${commands[subject]}: ${why}` }
}

async function nameOf(subject: AccessSubject, question: Question): Promise<string> {
  const { client, helo, sender, recipient, certificate } = question
  switch (subject) {
    case 'client': {
      const { name, forward } = await client.name()
      return `${forward === 'pass' ? (name ?? 'unknown') : 'unknown'}[${client.address}]`
    }
    case 'helo':
      return helo ?? ''
    case 'sender':
      return sender?.text ?? ''
    case 'recipient':
      return recipient?.text ?? ''
    case 'certificate':
      return certificate?.fingerprint ?? ''
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
