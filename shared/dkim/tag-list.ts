import { trimBlanks, unfold } from './raw-field.ts'

/**
 * Reads a tag=value list (RFC 6376 §3.2). Names keep their case, values lose folding and the blanks around them.
 * `undefined`: it does not follow the syntax or a tag stands twice, so the list as a whole is void.
 */
export function parseTagList(text: string): ReadonlyMap<string, string> | undefined {
  const tags = new Map<string, string>()
  const specs = unfold(text).split(';')
  if (specs.length > 1 && trimBlanks(specs.at(-1) ?? '') === '') specs.pop()
  for (const spec of specs) {
    const equals = spec.indexOf('=')
    if (equals < 0) return undefined
    const name = trimBlanks(spec.slice(0, equals))
    if (!tagName.test(name) || tags.has(name)) return undefined
    tags.set(name, trimBlanks(spec.slice(equals + 1)))
  }
  return tags
}

const tagName = /^[A-Za-z][A-Za-z0-9_]*$/

/** Base64 with blanks in it (RFC 6376 §2.10); `undefined` when it is none. */
export function decodeBase64(text: string): Buffer | undefined {
  const compact = text.replaceAll(/[ \t]/g, '')
  return base64.test(compact) ? Buffer.from(compact, 'base64') : undefined
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/
