/** Decodes quoted-printable (RFC 2045 §6.7; octets as latin1); what is no code in it stays as it is. */
export function decodeQuotedPrintable(text: string): Buffer {
  const octets = Buffer.allocUnsafe(text.length)
  let length = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code !== 0x3d) {
      octets[length++] = code
      continue
    }
    const soft = text[at + 1] === '\n' ? 1 : text[at + 1] === '\r' && text[at + 2] === '\n' ? 2 : 0
    const value = soft > 0 ? Number.NaN : hexOctet(text, at + 1)
    if (soft > 0) at += soft
    else if (Number.isNaN(value)) octets[length++] = code
    else {
      octets[length++] = value
      at += 2
    }
  }
  return octets.subarray(0, length)
}

function hexOctet(text: string, at: number): number {
  const digits = text.slice(at, at + 2)
  return /^[0-9A-Fa-f]{2}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN
}
