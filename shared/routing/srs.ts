import { createHash, timingSafeEqual } from 'node:crypto'

import type { SrsSettings } from '../config/model.ts'
import { domainOf, localPart, parseMailbox, type Mailbox } from '../mail/address.ts'

const dayMs = 86_400_000
const timestampRange = 1024
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const hashLength = 4

/**
 * The Sender Rewriting Scheme, as OpenSMTPD writes it: the sender of forwarded mail under a domain of ours, so that SPF of the next
 * host holds and bounces come back to us. `SRS0=HHHH=TT=domain=user@here`; what another forwarder wrote becomes `SRS1=HHHH=there==...`,
 * which sends a bounce back to the first one.
 */
export function encodeSrs(sender: Mailbox, here: string, { key }: SrsSettings, nowAt: number): Mailbox {
  const user = plainLocalPart(sender)
  const domain = domainOf(sender)
  const [kind, rest] = /^SRS0=/i.test(user)
    ? ['SRS1', `${domain}==${user.slice(5)}`]
    : /^SRS1=[^]{4}[=+-]/i.test(user)
      ? ['SRS1', user.slice(10)]
      : ['SRS0', `${timestampOf(nowAt)}=${domain}=${user}`]
  return mailboxOf(`${kind}=${hashOf(`${rest}@${here}`, key)}=${rest}`, here) ?? sender
}

/** Written by some forwarder, perhaps by us. */
export function isSrs(mailbox: Mailbox): boolean {
  return /^"?SRS[01]=/i.test(mailbox)
}

/**
 * Whom an address of ours stands for. `undefined`: we did not write it (neither key fits), it is older than `ttlDays`, or what it
 * holds is no address. The comparison takes the same time whatever was guessed.
 */
export function decodeSrs(mailbox: Mailbox, srs: SrsSettings, nowAt: number): Mailbox | undefined {
  const [, version, hash = '', rest = ''] = /^SRS([01])=(.{4})[=+-](.*)$/is.exec(plainLocalPart(mailbox)) ?? []
  if (version === undefined || !isOurs(hash, `${rest}@${domainOf(mailbox)}`, srs)) return undefined
  return version === '0' ? sender(rest, srs, nowAt) : firstForwarder(rest, srs, nowAt)
}

/** Of `TT=domain=user`. */
function sender(rest: string, srs: SrsSettings, nowAt: number): Mailbox | undefined {
  const [, timestamp = '', domain = '', user = ''] = /^(..)[=+-]([^=]+)=(.+)$/s.exec(rest) ?? []
  return isFresh(timestamp, srs, nowAt) ? mailboxOf(user, domain) : undefined
}

/** Of `there==HHHH=TT=...`: the hash there is another's, the age can be seen. */
function firstForwarder(rest: string, srs: SrsSettings, nowAt: number): Mailbox | undefined {
  const [, domain = '', theirs = ''] = /^([^=]+)=([=+-].+)$/s.exec(rest) ?? []
  const [, timestamp = ''] = /^[=+-][^=]+=(..)[=+-]/s.exec(theirs) ?? []
  return isFresh(timestamp, srs, nowAt) ? mailboxOf(`SRS0${theirs}`, domain) : undefined
}

/** At most `ttlDays` old; a clock may be a day ahead of ours. Days count modulo 1024. */
function isFresh(timestamp: string, { ttlDays }: SrsSettings, nowAt: number): boolean {
  if (!/^[A-Z2-7]{2}$/i.test(timestamp)) return false
  const digit = (index: number): number => base32.indexOf(timestamp.charAt(index).toUpperCase())
  const ageDays = (dayOf(nowAt) - (digit(0) * 32 + digit(1)) + timestampRange) % timestampRange
  return ageDays <= ttlDays || ageDays === timestampRange - 1
}

function timestampOf(nowAt: number): string {
  const day = dayOf(nowAt)
  return base32.charAt(Math.floor(day / 32)) + base32.charAt(day % 32)
}

function dayOf(nowAt: number): number {
  return Math.floor(nowAt / dayMs) % timestampRange
}

function isOurs(hash: string, text: string, { key, backupKey }: SrsSettings): boolean {
  const said = Buffer.from(hash)
  const fits = [key, backupKey ?? key].map((one) => {
    const expected = Buffer.from(hashOf(text, one))
    return said.length === expected.length && timingSafeEqual(said, expected)
  })
  return fits.includes(true)
}

function hashOf(text: string, key: string): string {
  return createHash('sha1').update(key).update(text).digest('base64').slice(0, hashLength)
}

/** Without the quotes of a quoted string. */
function plainLocalPart(mailbox: Mailbox): string {
  const local = localPart(mailbox)
  return local.startsWith('"') ? local.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : local
}

/** With quotes where they are needed. */
function mailboxOf(local: string, domain: string): Mailbox | undefined {
  return parseMailbox(`${local}@${domain}`) ?? parseMailbox(`"${local.replaceAll(/["\\]/g, '\\$&')}"@${domain}`)
}
