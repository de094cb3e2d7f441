import type { Mailbox } from '../../shared/mail/address.ts'
import { localPart } from '../../shared/mail/address.ts'

/** The user a mailbox belongs to, and the sub-address behind the delimiter: `jane+lists` is jane and lists. */
export interface LocalUser {
  /** In lower case, without quotes. */
  readonly name: string
  readonly subAddress?: string
}

export function localUser(mailbox: Mailbox, delimiter: string): LocalUser {
  const local = unquoted(localPart(mailbox))
  const at = delimiter === '' ? -1 : local.indexOf(delimiter)
  if (at < 1) return { name: local.toLowerCase() }
  const subAddress = local.slice(at + delimiter.length)
  return { name: local.slice(0, at).toLowerCase(), ...(subAddress === '' ? {} : { subAddress }) }
}

/** The user name as RCPT of LMTP takes it: quoted where RFC 5321 §4.1.2 asks for it. */
export function userPath(name: string): string {
  return /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\u0080-\u{10FFFF}]+$/u.test(name)
    ? name
    : `"${name.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}

function unquoted(local: string): string {
  return local.startsWith('"') ? local.slice(1, -1).replaceAll(/\\(.)/gu, '$1') : local
}
