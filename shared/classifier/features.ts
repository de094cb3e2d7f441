import { linksOf, readMail } from './readable-mail.ts'
import type { MailField, ReadableMail } from './readable-mail.ts'

/** Features are 32-bit hashes, each once: what a message has, not how often. */
export type Features = Uint32Array

const mostWords = 3_000
const mostWordLength = 24

/** Kinds of features: the same word is another feature in the subject than in the body. */
const kinds = {
  word: 0x1001,
  pair: 0x1002,
  subject: 0x1003,
  subjectPair: 0x1004,
  host: 0x1005,
  path: 0x1007,
  extension: 0x100a,
  field: 0x100c,
  flag: 0x100d,
  mailer: 0x100e,
  fromName: 0x100f,
  fromDomain: 0x1010,
  folded: 0x1011,
  piece: 0x1012,
  hostTopLevel: 0x200b,
  fromTopLevel: 0x2016,
} as const

/** For who wants to know why. */
const labels: Readonly<Record<keyof typeof kinds, string>> = {
  word: 'word',
  pair: 'words',
  subject: 'subject',
  subjectPair: 'subject',
  host: 'link to',
  path: 'link with',
  extension: 'file',
  field: 'field',
  flag: 'it has',
  mailer: 'program',
  fromName: 'sender',
  fromDomain: 'sender at',
  folded: 'disguised',
  piece: 'letters',
  hostTopLevel: 'link to a domain in',
  fromTopLevel: 'sender in',
}

/**
 * Presence of these says something about the program that made the message. What only mail of some years or of some receiving server has is
 * no feature, and neither are markup, charset and encryption of links: they would tell collections of mail apart, not spam from ham.
 */
const tellingFields = new Set([
  'reply-to',
  'in-reply-to',
  'references',
  'list-id',
  'list-unsubscribe',
  'mailing-list',
  'precedence',
  'x-mailer',
  'user-agent',
  'sender',
  'organization',
  'x-priority',
  'x-msmail-priority',
  'importance',
  'date',
  'message-id',
  'disposition-notification-to',
  'errors-to',
  'to',
  'cc',
  'bcc',
])

/** The features of a message as it was received, header section and body. */
export function featuresOf(content: Buffer): Features {
  return featuresOfMail(readMail(content))
}

export function featuresOfMail(mail: ReadableMail): Features {
  return Uint32Array.from(collect(mail, new Set()))
}

/** The features of a message with what each of them is: `word casino`, `pair free offer`. */
export function namedFeatures(mail: ReadableMail): ReadonlyMap<number, string> {
  const named = new NamedFeatures()
  collect(mail, named)
  return named.names
}

class NamedFeatures extends Set<number> {
  readonly names = new Map<number, string>()

  name(feature: number, text: string): void {
    if (!this.names.has(feature)) this.names.set(feature, text)
  }
}

function collect(mail: ReadableMail, found: Set<number>): Set<number> {
  const subject = valueOf(mail.fields, 'subject')
  addWords(found, subject, 'subject', 'subjectPair')
  addSubjectShape(found, subject)
  addHeader(found, mail.fields)
  const links = linksOf(mail)
  let length = 0
  let isHidden = false
  for (const { text, html } of mail.texts) {
    addWords(found, text, 'word', 'pair')
    length += text.length
    if (html === undefined) continue
    isHidden ||= html.hidden
  }
  addLinks(found, links)
  for (const { extension } of mail.parts) if (extension !== '') add(found, 'extension', extension)
  flag(found, 'length', step(length))
  flag(found, 'links', step(links.length))
  flag(found, 'parts', step(mail.parts.length))
  if (isHidden) flag(found, 'hidden text')
  return found
}

/** 0, 1, 2-3, 4-7, ... */
function step(count: number): number {
  return 32 - Math.clz32(count)
}

function flag(found: Set<number>, name: string, value: number | string = ''): void {
  add(found, 'flag', `${name} ${value}`)
}

function valueOf(fields: readonly MailField[], name: string): string {
  return fields.find((field) => field.name === name)?.value ?? ''
}

function addSubjectShape(found: Set<number>, subject: string): void {
  const letters = subject.replaceAll(/\P{L}/gu, '')
  if (letters.length > 5 && letters === letters.toUpperCase() && letters !== letters.toLowerCase())
    flag(found, 'subject in capitals')
  const marks = subject.match(/[!?$€£]/g)?.length ?? 0
  if (marks > 0) flag(found, 'subject marks', step(marks))
  if (/\s{4,}\S{3,}$/.test(subject)) flag(found, 'subject with a tail')
  if (/^(?:re|aw|sv|fwd?|wg|tr)\s*:/i.test(subject)) flag(found, 'subject answers')
  if (subject === '') flag(found, 'no subject')
}

function addHeader(found: Set<number>, fields: readonly MailField[]): void {
  for (const { name } of fields) if (tellingFields.has(name)) add(found, 'field', name)
  for (const name of ['x-mailer', 'user-agent'])
    for (const word of valueOf(fields, name)
      .toLowerCase()
      .split(/[^a-z]+/, 4))
      if (word !== '') add(found, 'mailer', word)
  const from = mailbox(valueOf(fields, 'from'))
  addWords(found, from.name, 'fromName', undefined)
  addDomain(found, from.domain, 'fromDomain')
  if (from.name.includes('@') && !from.name.toLowerCase().includes(from.domain)) flag(found, 'name is another address')
  if (/\d{3,}/.test(from.user)) flag(found, 'digits in the sender')
  if (from.domain === '') flag(found, 'no sender')
  const replyTo = mailbox(valueOf(fields, 'reply-to')).domain
  if (replyTo !== '') flag(found, replyTo === from.domain ? 'answers to the sender' : 'answers elsewhere')
  const messageId = /@([^>\s]+)>?\s*$/.exec(valueOf(fields, 'message-id'))?.[1]?.toLowerCase() ?? ''
  if (messageId === '') flag(found, 'no message-id')
  else flag(found, related(messageId, from.domain) ? 'message-id of the sender' : 'message-id of others')
  const to = valueOf(fields, 'to')
  if (/undisclosed/i.test(to)) flag(found, 'undisclosed')
  flag(found, 'addressees', step((to.match(/@/g)?.length ?? 0) + (valueOf(fields, 'cc').match(/@/g)?.length ?? 0)))
  if (valueOf(fields, 'in-reply-to') !== '' || valueOf(fields, 'references') !== '') flag(found, 'in a thread')
}

interface Mailbox {
  readonly name: string
  readonly user: string
  readonly domain: string
}

function mailbox(value: string): Mailbox {
  const angle = /<([^<>@\s]*)@([^<>\s]*)>/.exec(value)
  const bare = angle ?? /([^<>@\s"(]+)@([^<>\s)",;]+)/.exec(value)
  const name = angle === null ? '' : value.slice(0, angle.index)
  return { name, user: bare?.[1] ?? '', domain: bare?.[2]?.toLowerCase() ?? '' }
}

/** One of them is in the other's domain. */
function related(one: string, other: string): boolean {
  return lastLabels(one) === lastLabels(other)
}

function lastLabels(domain: string): string {
  const labels = domain.split('.')
  const isCountry = (labels.at(-1)?.length ?? 0) === 2 && (labels.at(-2)?.length ?? 9) <= 3
  return labels.slice(isCountry ? -3 : -2).join('.')
}

function addDomain(found: Set<number>, domain: string, of: 'fromDomain' | 'host'): void {
  if (domain === '') return
  add(found, of, lastLabels(domain))
  add(found, of === 'host' ? 'hostTopLevel' : 'fromTopLevel', domain.slice(domain.lastIndexOf('.') + 1))
}

function addLinks(found: Set<number>, links: readonly string[]): void {
  const hosts = new Set<string>()
  for (const link of links) {
    const [, scheme = '', rest = ''] = /^(?:([a-z]{2,10}):)?(?:\/\/)?(.*)$/is.exec(link) ?? []
    const [authority = '', ...path] = rest.split('/')
    const host = authority.slice(authority.lastIndexOf('@') + 1).toLowerCase()
    if (scheme.toLowerCase() === 'cid' || !host.includes('.')) continue
    if (authority.includes('@') && scheme.toLowerCase() !== 'mailto') flag(found, 'link with a name before the host')
    if (/^[\d.]+(?::\d+)?$/.test(host)) flag(found, 'link to an address')
    if (/:\d+$/.test(host)) flag(found, 'link with a port')
    if (host.includes('xn--')) flag(found, 'link to punycode')
    const name = host.replace(/:\d+$/, '')
    hosts.add(lastLabels(name))
    addDomain(found, name, 'host')
    flag(found, 'link labels', name.split('.').length)
    const ending = /\.([a-z]{2,5})(?:[?#]|$)/i.exec(path.at(-1) ?? '')?.[1]
    if (ending !== undefined) add(found, 'path', ending.toLowerCase())
  }
  flag(found, 'hosts', step(hosts.size))
}

/** Words, and pairs of neighbours. */
function addWords(
  found: Set<number>,
  text: string,
  of: 'fromName' | 'subject' | 'word',
  pairs?: 'pair' | 'subjectPair',
): void {
  let before = 0
  let wordBefore = ''
  let count = 0
  for (const raw of text.toLowerCase().matchAll(/[\p{L}\p{N}$€£%'\u200b-\u200d\u00ad-]+/gu)) {
    if (count++ >= mostWords) return
    const word = plain(found, raw[0])
    if (word === '') continue
    const feature = add(found, of, word)
    if (pairs !== undefined && before !== 0) {
      const pair = mix(before, feature ^ kinds[pairs])
      found.add(pair)
      if (found instanceof NamedFeatures) found.name(pair, `${labels[pairs]} "${wordBefore} ${word}"`)
    }
    before = feature
    wordBefore = word
  }
}

/** Numbers by their shape; what is written so that a filter does not know it as well by what it looks like. */
function plain(found: Set<number>, raw: string): string {
  const word = /[\u200b-\u200d\u00ad]/.test(raw) ? raw.replaceAll(/[\u200b-\u200d\u00ad]/g, '') : raw
  if (word !== raw) flag(found, 'invisible letters')
  if (/^[\d$€£%'-]+$/.test(word)) return word.replaceAll(/\d/g, '9').slice(0, 8)
  if (word.length > mostWordLength) return `${word.slice(0, 6)}~${step(word.length)}`
  if (/\p{L}\d+\p{L}/u.test(word))
    add(
      found,
      'folded',
      word.replaceAll(/[0134579]/g, (digit) => lookalikes[digit] ?? digit),
    )
  if (/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/.test(word))
    for (let at = 0; at + 1 < word.length; at += 1) add(found, 'piece', word.slice(at, at + 2))
  return word
}

const lookalikes: Readonly<Record<string, string>> = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', 9: 'g' }

function add(found: Set<number>, kind: keyof typeof kinds, text: string): number {
  const feature = hash(kinds[kind], text)
  found.add(feature)
  if (found instanceof NamedFeatures) found.name(feature, `${labels[kind]} "${text.trim()}"`)
  return feature
}

/** FNV-1a over UTF-16 units, with the kind as the start. */
function hash(seed: number, text: string): number {
  let value = Math.imul(0x811c9dc5 ^ seed, 0x01000193)
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return mix(value, text.length)
}

/** The last step of MurmurHash3, so that few bits of it can be taken. */
function mix(one: number, other: number): number {
  let value = Math.imul(one, 31) ^ other
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
