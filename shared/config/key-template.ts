/** A text with places for a key: `%s` the whole, `%u` and `%d` what is before and behind its last `@`; `%%` is a percent sign. */
export interface KeyTemplate {
  /** Absent: the key has no `@`, and the text wants what is behind it. */
  expand(key: string, escape?: (part: string) => string): string | undefined
  readonly hasPlace: boolean
}

export type KeyPart = 's' | 'u' | 'd'

export function keyTemplate(text: string): KeyTemplate {
  const parts = text.split(/%([sud%])/)
  const hasPlace = parts.some((part, index) => index % 2 === 1 && part !== '%')
  function expand(key: string, escape: (part: string) => string = (part) => part): string | undefined {
    let expanded = ''
    for (const [index, part] of parts.entries()) {
      if (index % 2 === 0) expanded += part
      else if (part === '%') expanded += '%'
      else {
        const value = partOfKey(key, part as KeyPart)
        if (value === undefined) return undefined
        expanded += escape(value)
      }
    }
    return expanded
  }
  return { expand, hasPlace }
}

/** `undefined`: the domain of a key that has none. */
export function partOfKey(key: string, part: KeyPart): string | undefined {
  const sign = key.lastIndexOf('@')
  switch (part) {
    case 's':
      return key
    case 'u':
      return sign < 0 ? key : key.slice(0, sign)
    case 'd':
      return sign < 0 ? undefined : key.slice(sign + 1)
  }
}
