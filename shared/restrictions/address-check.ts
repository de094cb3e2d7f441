import type { RestrictionRule } from '../config/model.ts'
import { domainOf } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'
import { isPermanent } from '../mail/reply.ts'
import type { Reply } from '../mail/reply.ts'
import { findMailDomain } from './dns.ts'
import { isFullyQualified } from './host-name.ts'
import { about } from './replies.ts'
import type { Finding, Means, Question, Resolution, SaidPath } from './question.ts'

type AddressRule = Extract<RestrictionRule, { readonly kind: 'sender' | 'recipient' }>

/** Sender and recipient; the null reverse-path has no fault (RFC 5321 §4.5.5), nor has a bare postmaster (§4.5.1). */
export async function checkAddress(rule: AddressRule, question: Question, means: Means): Promise<Finding> {
  const { kind, fault } = rule
  const path = question[kind]
  if (path === undefined || path.mailbox === null || isPostmaster(path)) return 'next'
  switch (fault) {
    case 'non-fqdn':
      if (!path.bare && isFullyQualified(lookedUpDomain(path.mailbox))) return 'next'
      return about(kind, question, [504, '5.5.2'], 'need fully-qualified address')
    case 'unknown-domain':
      return path.bare ? 'next' : checkDomain(kind, path.mailbox, question, means)
    case 'unlisted':
      return checkListed(kind, path.mailbox, question)
  }
}

/** `unauthorised-destination`: where a stranger may send mail, everybody may. Nothing but the recipient counts. */
export async function checkDestination(question: Question): Promise<Finding> {
  const path = question.recipient
  if (path?.mailbox === undefined || path.mailbox === null) return 'next'
  const resolution = await question.asStranger(path.mailbox)
  if (resolution.kind === 'accepted' || isOurs(resolution)) return 'next'
  // Whoever cannot tell now must not turn mail away for good.
  if (!isPermanent(resolution.reply)) return resolution.reply
  return { code: 554, enhanced: '5.7.1', text: `<${path.text}>: Relay access denied` }
}

async function checkDomain(
  kind: 'sender' | 'recipient',
  mailbox: Mailbox,
  question: Question,
  { dns }: Means,
): Promise<Finding> {
  const domain = lookedUpDomain(mailbox)
  if (domain.startsWith('[')) return 'next'
  const found = await findMailDomain(dns, domain)
  if (found === 'exists' || isOurs(await question.asStranger(mailbox))) return 'next'
  if (found === 'null-mx') return nullMx(kind, question)
  const enhanced = kind === 'sender' ? '4.1.8' : '4.1.2'
  return about(
    kind,
    question,
    [450, enhanced],
    found === 'absent' ? 'Domain not found' : 'Domain cannot be looked up now',
  )
}

/** As DNS has it. */
function lookedUpDomain(mailbox: Mailbox): string {
  const domain = domainOf(mailbox)
  return asciiDomain(domain) ?? domain
}

/** RFC 7505 §4. */
function nullMx(kind: 'sender' | 'recipient', question: Question): Promise<Reply> {
  return kind === 'sender'
    ? about(kind, question, [550, '5.7.27'], 'Domain does not send or accept mail (null MX)')
    : about(kind, question, [556, '5.1.10'], 'Domain does not accept mail (null MX)')
}

async function checkListed(kind: 'sender' | 'recipient', mailbox: Mailbox, question: Question): Promise<Finding> {
  const resolution = await question.asStranger(mailbox)
  if (resolution.kind === 'accepted') return 'next'
  const { enhanced } = resolution.reply
  if (kind === 'recipient') return enhanced?.startsWith('5.1.') === true ? resolution.reply : 'next'
  return enhanced === '5.1.1' ? about(kind, question, [550, '5.1.0'], 'User unknown') : 'next'
}

/** A domain of this host or one it relays for, whether or not there is such a user. */
function isOurs(resolution: Resolution): boolean {
  return resolution.kind === 'accepted' || resolution.reply.enhanced?.startsWith('5.1.') === true
}

function isPostmaster({ bare, text }: SaidPath): boolean {
  return bare && text.toLowerCase() === 'postmaster'
}
