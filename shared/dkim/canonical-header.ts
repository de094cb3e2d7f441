import type { RawField } from './raw-field.ts'
import { trimBlanks, unfold } from './raw-field.ts'

export type Canonicalization = 'simple' | 'relaxed'

/** One field in canonical form with its CRLF (RFC 6376 §3.4.1, §3.4.2). */
export function canonicalField(raw: string, canonicalization: Canonicalization): string {
  if (canonicalization === 'simple') return raw.endsWith('\r\n') ? raw : `${raw}\r\n`
  const colon = raw.indexOf(':')
  const name = trimBlanks(unfold(raw.slice(0, Math.max(colon, 0)))).toLowerCase()
  const value = trimBlanks(unfold(raw.slice(colon + 1)).replaceAll(/[ \t]+/g, ' '))
  return `${name}:${value}\r\n`
}

/**
 * The fields that `names` (h=, lower case) selects, in canonical form: each further mention of a name takes the next
 * field of that name from the bottom up, a mention without a field adds nothing (RFC 6376 §5.4.2).
 */
export function selectedFields(
  fields: ReadonlyMap<string, readonly RawField[]>,
  names: readonly string[],
  canonicalization: Canonicalization,
): string {
  const taken = new Map<string, number>()
  let text = ''
  for (const name of names) {
    const count = taken.get(name) ?? 0
    const field = fields.get(name)?.at(-1 - count)
    taken.set(name, count + 1)
    if (field !== undefined) text += canonicalField(field.raw, canonicalization)
  }
  return text
}

/** Fields by name, top to bottom. */
export function fieldsByName(fields: readonly RawField[]): ReadonlyMap<string, readonly RawField[]> {
  const byName = new Map<string, RawField[]>()
  for (const field of fields) {
    const known = byName.get(field.name)
    if (known === undefined) byName.set(field.name, [field])
    else known.push(field)
  }
  return byName
}

/** A signature field as it is hashed for itself: the value of b= taken out, no CRLF at the end (RFC 6376 §3.7). */
export function signatureForHash(raw: string, canonicalization: Canonicalization): string {
  const canonical = canonicalField(withoutSignature(raw), canonicalization)
  return canonical.slice(0, -2)
}

function withoutSignature(raw: string): string {
  let start = raw.indexOf(':') + 1
  while (start < raw.length) {
    const semicolon = raw.indexOf(';', start)
    const end = semicolon < 0 ? raw.length : semicolon
    const equals = raw.indexOf('=', start)
    if (equals >= 0 && equals < end && trimBlanks(unfold(raw.slice(start, equals))) === 'b')
      return raw.slice(0, equals + 1) + raw.slice(end)
    start = end + 1
  }
  return raw
}
