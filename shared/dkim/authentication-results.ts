/** One result of an Authentication-Results field, in lower case but for the properties (RFC 8601 §2.2). */
export interface MethodResult {
  /** `dmarc` */
  readonly method: string
  /** `pass` */
  readonly result: string
  /** `header.from=example.org policy.dmarc=none`; quoted values keep their quotes and lose semicolons. */
  readonly properties: string
}

/** The results of a field's value (unfolded, authserv-id in front), or of ARC-Authentication-Results without its instance. Linear. */
export function methodResults(value: string): readonly MethodResult[] {
  return withoutComments(value)
    .split(';')
    .slice(1)
    .flatMap((text) => {
      const [, method, result, properties = ''] = /^\s*([a-z0-9-]+)\s*=\s*([a-z]+)(?=\s|$)(.*)$/is.exec(text) ?? []
      if (method === undefined || result === undefined) return []
      return [{ method: method.toLowerCase(), result: result.toLowerCase(), properties: properties.trim() }]
    })
}

/** Comments out, quoted strings without what would divide results. */
function withoutComments(text: string): string {
  let plain = ''
  let depth = 0
  let quoted = false
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] as string
    if ((quoted || depth > 0) && character === '\\') index += 1
    else if (quoted) {
      quoted = character !== '"'
      plain += character === ';' ? ' ' : character
    } else if (character === '(') depth += 1
    else if (depth > 0) depth -= character === ')' ? 1 : 0
    else {
      quoted = character === '"'
      plain += character
    }
  }
  return plain
}
