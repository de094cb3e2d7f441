import { isUtf8 } from 'node:buffer'

import { QuotedPrintableEncoder } from './body-encoders.ts'

/** Quoted-printable (RFC 2045 §6.7) of text with CRLF line ends. */
export function encodeQuotedPrintable(text: Buffer): Buffer {
  const encoder = new QuotedPrintableEncoder()
  return Buffer.concat([encoder.push(text), encoder.end()])
}

/** ASCII without control characters but tab and CRLF, lines of at most 998 octets: fit for 7bit (RFC 2045 §2.7). */
export function isSevenBit(content: Buffer): boolean {
  return hasFitLines(content, 0x7e)
}

/** The same for UTF-8 (RFC 6532 §3.1, lines of at most 998 octets): fit for 8bit. */
export function isEightBit(content: Buffer): boolean {
  return isUtf8(content) && hasFitLines(content, 0xff)
}

function hasFitLines(content: Buffer, highest: number): boolean {
  let start = 0
  for (let index = 0; index < content.length; index++) {
    const octet = content[index] ?? 0
    if (octet === 0x0d) {
      if (content[index + 1] !== 0x0a || index - start > 998) return false
      index += 1
      start = index + 1
    } else if (octet > highest || octet === 0x7f || (octet < 0x20 && octet !== 0x09)) return false
  }
  return content.length - start <= 998
}

/** Characters beyond ASCII as `\x{HEX}` (utf-8-addr-xtext of RFC 6533 §3). */
export function xtextAddress(address: string): string {
  return address.replaceAll(/[^\x20-\x7e]/gu, (character) => {
    return `\\x{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`
  })
}

/** A remote reply as a field's value: ASCII, and folded so that no line is overlong. */
export function foldDiagnostic(text: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .split(' ')
    .filter(Boolean)) {
    for (const piece of word.match(/.{1,900}/g) ?? []) {
      if (line !== '' && line.length + piece.length >= 76) {
        lines.push(line)
        line = piece
      } else line = line === '' ? piece : `${line} ${piece}`
    }
  }
  return [...lines, line].join('\r\n ')
}
