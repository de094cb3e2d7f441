import { isIP } from 'node:net'

import { isAscii } from '../../shared/mail/ascii-domain.ts'
import { domainOf, parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import { xtextAddress } from '../../shared/mail/dsn-encoding.ts'
import type { DsnRequest, Notify } from '../../shared/mail/envelope.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { releaseTime } from './release-time.ts'
import { isXtext } from './xtext.ts'

/** What a listener allows in MAIL and RCPT. */
export interface CommandRules {
  readonly maxMessageBytes: number
  /** DSN is offered (RFC 3461). */
  readonly dsn: boolean
  /** SMTPUTF8 is offered (RFC 6531); for RCPT: and MAIL asked for it. */
  readonly smtpUtf8: boolean
  /** REQUIRETLS is offered (RFC 8689): the session is in TLS. */
  readonly requireTls: boolean
  /** FUTURERELEASE is offered to this user (RFC 4865). */
  readonly hold?: { readonly maxMs: number; readonly nowAt: number }
  /** Domain of a bare `postmaster` (RFC 5321 §4.1.1.3). */
  readonly hostname: string
  /** A bare local part means the listener's host: submission only (RFC 6409 §8.3). */
  readonly completesAddresses: boolean
}

export interface MailCommand {
  readonly kind: 'mail'
  readonly reversePath: ReversePath
  /** SIZE (RFC 1870), octets. */
  readonly sizeBytes?: number
  readonly eightBit: boolean
  readonly smtpUtf8: boolean
  readonly requireTls?: true
  /** HOLDFOR or HOLDUNTIL, epoch ms. */
  readonly releaseAt?: number
  readonly dsn?: DsnRequest
}

export interface RcptCommand {
  readonly kind: 'rcpt'
  readonly mailbox: Mailbox
  readonly notify?: readonly Notify[]
  readonly orcpt?: string
}

export interface Refused {
  readonly kind: 'refused'
  readonly reply: Reply
}

const badSender = refused(501, '5.1.7', 'Bad sender address syntax')
const badRecipient = refused(501, '5.1.3', 'Bad recipient address syntax')
const internationalised = refused(553, '5.6.7', 'Addresses beyond ASCII need SMTPUTF8 in MAIL')
const notUtf8 = refused(501, '5.5.2', 'The command is not valid UTF-8')
const mailSyntax = refused(501, '5.5.4', 'Syntax: MAIL FROM:<address> [parameters]')
const rcptSyntax = refused(501, '5.5.4', 'Syntax: RCPT TO:<address> [parameters]')
const badParameter = refused(501, '5.5.4', 'Bad parameter syntax')
const tooBig: Refused = { kind: 'refused', reply: replies.messageTooBig }

/** The argument of MAIL, `FROM:<...> ...` (RFC 5321 §4.1.1.2), its octets as latin1. */
export function parseMail(octets: string, rules: CommandRules): MailCommand | Refused {
  const argument = decoded(octets)
  if (argument === undefined) return notUtf8
  const split = splitPath(argument, 'FROM')
  if (split === undefined) return mailSyntax
  const international = !isAscii(split.path)
  if (international && !rules.smtpUtf8) return internationalised
  const reversePath = split.path === '' ? null : mailboxOf(split.path, rules, false)
  if (reversePath === undefined) return badSender
  const parameters = parseParameters(split.rest)
  if (parameters === undefined) return badParameter
  if (international && !parameters.has('SMTPUTF8')) return internationalised
  if (parameters.size === 0) return { kind: 'mail', reversePath, eightBit: false, smtpUtf8: false }
  return mailWithParameters(reversePath, parameters, rules)
}

/** The argument of RCPT, `TO:<...> ...` (RFC 5321 §4.1.1.3), its octets as latin1. */
export function parseRcpt(octets: string, rules: CommandRules): RcptCommand | Refused {
  const argument = decoded(octets)
  if (argument === undefined) return notUtf8
  const split = splitPath(argument, 'TO')
  if (split === undefined) return rcptSyntax
  if (!rules.smtpUtf8 && !isAscii(split.path)) return internationalised
  const mailbox = mailboxOf(split.path, rules, true)
  if (mailbox === undefined) return badRecipient
  const parameters = parseParameters(split.rest)
  if (parameters === undefined) return badParameter
  if (parameters.size === 0) return { kind: 'rcpt', mailbox }
  return rcptWithParameters(mailbox, parameters, rules)
}

/** The address in a path with its parameters behind it, `<a@b> SIZE=1`; the text itself when it is no path. */
export function addressOf(path: string): string {
  return splitPath(`TO:${path}`, 'TO')?.path ?? path
}

function mailWithParameters(
  reversePath: ReversePath,
  parameters: ReadonlyMap<string, string | undefined>,
  rules: CommandRules,
): MailCommand | Refused {
  let sizeBytes: number | undefined
  let eightBit = false
  let smtpUtf8 = false
  let requireTls = false
  let releaseAt: number | undefined
  let ret: DsnRequest['ret']
  let envid: string | undefined
  for (const [keyword, value] of parameters) {
    switch (keyword) {
      case 'SIZE':
        if (value === undefined || !/^\d{1,20}$/.test(value)) return parameterError(keyword)
        sizeBytes = Number(value)
        break
      case 'BODY':
        if (value === undefined || !/^(?:7BIT|8BITMIME)$/i.test(value)) return parameterError(keyword)
        eightBit = value.length === 8
        break
      case 'AUTH':
        // RFC 4954 §5: taken from nobody, so as good as <>.
        if (value === undefined || !(value === '<>' || isXtext(value, 500))) return parameterError(keyword)
        break
      case 'SMTPUTF8':
        if (!rules.smtpUtf8) return unknownParameter(keyword)
        if (value !== undefined) return parameterError(keyword)
        smtpUtf8 = true
        break
      case 'REQUIRETLS':
        if (!rules.requireTls) return unknownParameter(keyword)
        if (value !== undefined) return parameterError(keyword)
        requireTls = true
        break
      case 'HOLDFOR':
      case 'HOLDUNTIL':
        if (rules.hold === undefined) return unknownParameter(keyword)
        if (releaseAt !== undefined) return badParameter
        releaseAt = releaseTime(keyword, value ?? '', rules.hold)
        if (releaseAt === undefined) return parameterError(keyword)
        break
      case 'RET':
        if (!rules.dsn) return unknownParameter(keyword)
        if (value === undefined || !/^(?:FULL|HDRS)$/i.test(value)) return parameterError(keyword)
        ret = value.toLowerCase() as 'full' | 'hdrs'
        break
      case 'ENVID':
        if (!rules.dsn) return unknownParameter(keyword)
        if (value === undefined || !isXtext(value, 100)) return parameterError(keyword)
        envid = value
        break
      default:
        return unknownParameter(keyword)
    }
  }
  if (sizeBytes !== undefined && sizeBytes > rules.maxMessageBytes) return tooBig
  const dsn = { ...(ret === undefined ? {} : { ret }), ...(envid === undefined ? {} : { envid }) }
  return {
    kind: 'mail',
    reversePath,
    eightBit,
    smtpUtf8,
    ...(requireTls ? { requireTls } : {}),
    ...(releaseAt === undefined ? {} : { releaseAt }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(ret === undefined && envid === undefined ? {} : { dsn }),
  }
}

function rcptWithParameters(
  mailbox: Mailbox,
  parameters: ReadonlyMap<string, string | undefined>,
  rules: CommandRules,
): RcptCommand | Refused {
  let notify: readonly Notify[] | undefined
  let orcpt: string | undefined
  for (const [keyword, value] of parameters) {
    switch (keyword) {
      case 'NOTIFY':
        if (!rules.dsn) return unknownParameter(keyword)
        notify = value === undefined ? undefined : parseNotify(value)
        if (notify === undefined) return parameterError(keyword)
        break
      case 'ORCPT':
        if (!rules.dsn) return unknownParameter(keyword)
        orcpt = value === undefined ? undefined : originalRecipient(value, rules)
        if (orcpt === undefined) return parameterError(keyword)
        break
      default:
        return unknownParameter(keyword)
    }
  }
  return {
    kind: 'rcpt',
    mailbox,
    ...(notify === undefined ? {} : { notify }),
    ...(orcpt === undefined ? {} : { orcpt }),
  }
}

/**
 * Splits `FROM:<path> rest`. The path comes without brackets; a `>` inside a quoted local part does not end it. Blanks
 * behind the colon and at the end are forgiven: many clients send them.
 */
function splitPath(
  argument: string,
  keyword: 'FROM' | 'TO',
): { readonly path: string; readonly rest: string } | undefined {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword || argument[keyword.length] !== ':') return undefined
  let start = keyword.length + 1
  while (argument[start] === ' ') start += 1
  if (argument[start] !== '<') return undefined
  const end = pathEnd(argument, start + 1)
  if (end < 0) return undefined
  const next = argument[end + 1]
  if (next !== undefined && next !== ' ') return undefined
  return { path: argument.slice(start + 1, end), rest: argument.slice(end + 1) }
}

function pathEnd(text: string, start: number): number {
  let quoted = false
  for (let index = start; index < text.length; index += 1) {
    const character = text[index]
    if (quoted && character === '\\') index += 1
    else if (character === '"') quoted = !quoted
    else if (character === '>' && !quoted) return index
  }
  return -1
}

/** RFC 5321 §4.1.1.11, keywords in upper case; `undefined` on bad syntax or a keyword given twice. */
function parseParameters(text: string): ReadonlyMap<string, string | undefined> | undefined {
  const parameters = new Map<string, string | undefined>()
  for (const word of text.split(' ')) {
    if (word === '') continue
    const match = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x7e\u0080-\uffff]+))?$/.exec(word)
    const keyword = match?.[1]?.toUpperCase()
    if (keyword === undefined || parameters.has(keyword)) return undefined
    parameters.set(keyword, match?.[2])
  }
  return parameters
}

/** A path without its brackets; a source route is dropped (RFC 5321 appendix C). */
function mailboxOf(path: string, rules: CommandRules, recipient: boolean): Mailbox | undefined {
  // RFC 5321 §4.5.3.1.3: 256 octets with the brackets.
  if (Buffer.byteLength(path) > 254) return undefined
  const address = path.startsWith('@') ? path.replace(/^@[^\s,:@]+(?:,@[^\s,:@]+)*:/, '') : path
  const mailbox = parseMailbox(address)
  if (mailbox !== undefined) return isSoundLiteral(domainOf(mailbox)) ? mailbox : undefined
  if (recipient && /^postmaster$/i.test(address)) return parseMailbox(`postmaster@${rules.hostname}`)
  if (rules.completesAddresses && !address.includes('@')) return parseMailbox(`${address}@${rules.hostname}`)
  return undefined
}

/** True for a name, and for a literal that holds an address (RFC 5321 §4.1.3). */
function isSoundLiteral(domain: string): boolean {
  if (!domain.startsWith('[')) return true
  const address = domain.slice(1, -1)
  return address.startsWith('IPv6:') ? isIP(address.slice(5)) === 6 : isIP(address) === 4
}

function parseNotify(value: string): readonly Notify[] | undefined {
  const words = value.toLowerCase().split(',')
  if (words.some((word) => !['never', 'success', 'failure', 'delay'].includes(word))) return undefined
  if (new Set(words).size !== words.length || (words.includes('never') && words.length > 1)) return undefined
  return words as Notify[]
}

/**
 * `addr-type;xtext` of at most 500 octets (RFC 3461 §4.2). With SMTPUTF8 the type `utf-8` may come with the characters themselves
 * (RFC 6533 §3); they are kept in the ASCII form of the same address.
 */
function originalRecipient(value: string, { smtpUtf8 }: CommandRules): string | undefined {
  if (Buffer.byteLength(value) > 500) return undefined
  const [, type, address] = /^([A-Za-z0-9-]+);(.+)$/.exec(value) ?? []
  if (type === undefined || address === undefined) return undefined
  if (isAscii(address)) return isXtext(address, 500) ? value : undefined
  if (!smtpUtf8 || type.toLowerCase() !== 'utf-8' || /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(address)) return undefined
  const escaped = xtextAddress(address)
  return isXtext(escaped, 3_000) ? `${type};${escaped}` : undefined
}

/** The characters of a command whose octets came as latin1; `undefined`: it is not UTF-8 (RFC 6531 §3.3). */
function decoded(octets: string): string | undefined {
  if (isAscii(octets)) return octets
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(octets, 'latin1'))
  } catch {
    return undefined
  }
}

function parameterError(keyword: string): Refused {
  return refused(501, '5.5.4', `Bad value of parameter ${keyword}`)
}

function unknownParameter(keyword: string): Refused {
  return refused(555, '5.5.4', `Unsupported parameter: ${keyword}`)
}

function refused(code: number, enhanced: string, text: string): Refused {
  return { kind: 'refused', reply: { code, enhanced, text } }
}
