/**
 * True for xtext (RFC 3461 §4) of at most `limit` octets whose decoded form is printable ASCII: encoded control characters
 * have no use in an envelope id or an address, and would be written into reports.
 */
export function isXtext(text: string, limit: number): boolean {
  if (text.length > limit || !/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+$/.test(text)) return false
  return [...text.matchAll(/\+([0-9A-F]{2})/g)].every((match) => isPrintable(Number.parseInt(match[1] ?? '', 16)))
}

function isPrintable(octet: number): boolean {
  return octet >= 0x20 && octet <= 0x7e
}
