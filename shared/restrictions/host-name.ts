import { isIP } from 'node:net'

const label = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/

/** Labels of letters, digits, hyphens and the underscores that are everywhere, not all of them digits (RFC 1123 §2.1). */
export function isHostName(name: string): boolean {
  const labels = name.replace(/\.$/, '').split('.')
  if (name.length > 255 || labels.some((one) => one.length > 63 || !label.test(one))) return false
  return !/^\d+$/.test(labels.at(-1) ?? '')
}

/** An address in brackets (RFC 5321 §4.1.3); `undefined` for what is not in brackets. */
export function isSoundLiteral(text: string): boolean | undefined {
  if (!text.startsWith('[')) return undefined
  const inside = text.endsWith(']') ? text.slice(1, -1) : ''
  return /^ipv6:/i.test(inside) ? isIP(inside.slice('ipv6:'.length)) === 6 : isIP(inside) !== 0
}

/** A name with a dot in it, or a literal. */
export function isFullyQualified(name: string): boolean {
  return isSoundLiteral(name) ?? (isHostName(name) && name.replace(/\.$/, '').includes('.'))
}
