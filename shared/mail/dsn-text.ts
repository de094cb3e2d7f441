import type { DsnAction, DsnRecipient, DsnReport } from './dsn.ts'
import type { Reply } from './reply.ts'
import { formatReply, statusOf } from './reply.ts'

/** Subject of a report. */
export function headline(action: DsnAction): string {
  switch (action) {
    case 'failed':
      return 'Your message could not be delivered'
    case 'delayed':
      return 'Your message is delayed'
    case 'delivered':
      return 'Your message was delivered'
    case 'relayed':
      return 'Your message was passed on'
    case 'expanded':
      return 'Your message was passed on to several mailboxes'
  }
}

/** The words for the sender: what happened, to whom, what the other side said, what can be done. CRLF line ends. */
export function explain(report: DsnReport, formatDate: (at: number) => string): string {
  const { action, hostname, original } = report
  const paragraphs = [
    `This is the mail server at ${hostname}.`,
    `${introduction(report.action)}${untilWhen(report, formatDate)}`,
    ...report.recipients.map((recipient) => aboutRecipient(action, recipient)),
    closing(action),
    `The header of your message, or the whole of it, is attached. It was received\non ${formatDate(original.receivedAt)}; our reference for it is\n${original.id}.`,
  ]
  return `${paragraphs.join('\n\n')}\n`.replaceAll('\n', '\r\n')
}

function introduction(action: DsnAction): string {
  switch (action) {
    case 'failed':
      return 'Your message could not be delivered to the recipients below. We have given\nup; it will not be tried again.'
    case 'delayed':
      return 'Your message has not been delivered to the recipients below yet. This is a\nwarning only: you do not need to send it again. We keep trying'
    case 'delivered':
      return 'Your message was delivered to the mailboxes of the recipients below, as you\nasked to be told.'
    case 'relayed':
      return 'Your message was passed on to the next mail server for the recipients below.\nThat server gives no delivery reports: you may hear no more of it.'
    case 'expanded':
      return 'The addresses below stand for several mailboxes. Your message was passed on to\nall of them; you are told when one of them cannot get it, and no more.'
  }
}

function untilWhen({ action, willRetryUntil }: DsnReport, formatDate: (at: number) => string): string {
  if (action !== 'delayed') return ''
  return willRetryUntil === undefined ? '.' : `\nuntil ${formatDate(willRetryUntil)}.`
}

function aboutRecipient(action: DsnAction, recipient: DsnRecipient): string {
  const { mailbox, original, reply } = recipient
  const lines = [`<${mailbox}>${original === undefined || original === mailbox ? '' : ` (you wrote to <${original}>)`}`]
  if (action === 'failed' || action === 'delayed') {
    lines.push(...indented(reasonOf(reply)))
    lines.push(
      ...indented(`${recipient.remoteMta === undefined ? 'Reported' : 'The other server said'}: ${formatReply(reply)}`),
    )
  }
  return lines.join('\n')
}

function closing(action: DsnAction): string {
  if (action !== 'failed') return 'Nothing needs to be done.'
  return 'If you cannot tell what is wrong, please show this message to your postmaster\nor to the recipient by other means.'
}

/** What the enhanced status (RFC 3463) means to somebody who wrote a letter. */
function reasonOf(reply: Reply): string {
  const [, subject = '', detail = ''] = statusOf(reply).split('.')
  return (
    reasons.get(`${subject}.${detail}`) ?? reasons.get(subject) ?? 'The message was refused for a reason given below.'
  )
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['1.1', 'There is no such mailbox there. Please check the spelling of the address.'],
  ['1.2', 'There is no such domain. Please check the part of the address behind the "@".'],
  ['1.3', 'The address is not written correctly.'],
  ['1.10', 'This domain receives no mail at all.'],
  ['1', 'Something is wrong with the address. Please check its spelling.'],
  ['2.1', 'The mailbox is not in use at the moment.'],
  ['2.2', 'The mailbox is full. The recipient must make room before mail can arrive.'],
  ['2.3', 'The message is larger than this mailbox accepts. Please send a smaller one.'],
  ['2', 'The mailbox cannot take the message.'],
  ['3.1', 'The mail server has no room left.'],
  ['3.4', 'The message is too large for a server on the way. Please send a smaller one.'],
  ['3', 'A mail server on the way has a problem.'],
  ['4.1', "The recipient's mail server did not answer."],
  ['4.2', "The connection to the recipient's mail server broke."],
  ['4.3', "The address of the recipient's mail server could not be found out."],
  ['4.4', 'No mail server could be found for this address.'],
  ['4.6', 'The message went round in a circle between mail servers.'],
  ['4.7', 'The message could not be delivered in the time we keep trying.'],
  ['4', "The way to the recipient's mail server is disturbed."],
  ['5', 'The two mail servers did not understand each other.'],
  ['6', "The message has a form the recipient's mail server does not accept."],
  ['7.1', "The recipient's mail server does not accept this message from you."],
  ['7', "The recipient's mail server refused the message for security or policy reasons."],
])

/** Wrapped at 76 columns, each line moved in by four. */
function indented(text: string): string[] {
  const lines: string[] = []
  let line = '   '
  for (const word of text.replaceAll(/\s+/g, ' ').trim().split(' ')) {
    for (const piece of word.match(/.{1,600}/gu) ?? []) {
      if (line.trim() !== '' && line.length + piece.length > 75) {
        lines.push(line)
        line = '   '
      }
      line += ` ${piece}`
    }
  }
  return [...lines, line]
}
