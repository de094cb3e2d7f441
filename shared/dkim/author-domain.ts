import { asciiDomain } from './ascii-domain.ts'
import { trimBlanks } from './raw-field.ts'

/**
 * Domains of the mailboxes in a From field's value (RFC 5322 §3.4; octets as latin1), in lower case and ASCII (A-labels), in
 * order, each once. Comments and quoted strings hide nothing: `"a@b" <c@d>` has the domain `d` alone. Linear.
 */
export function authorDomains(value: string): readonly string[] {
  const domains = new Set<string>()
  for (const mailbox of splitMailboxes(value)) {
    const angle = mailbox.lastIndexOf('<')
    const close = mailbox.indexOf('>', angle)
    const address = angle < 0 ? mailbox : mailbox.slice(angle + 1, close < 0 ? undefined : close)
    const at = address.lastIndexOf('@')
    const domain = at < 0 ? '' : asciiDomain(trimBlanks(address.slice(at + 1)))
    if (domain !== '') domains.add(domain)
  }
  return [...domains]
}

/** The mailboxes without comments and quoted strings; group names and closing semicolons fall away. */
function splitMailboxes(value: string): string[] {
  const mailboxes: string[] = []
  let current = ''
  let quoted = false
  let depth = 0
  let angle = false
  for (let index = 0; index < value.length; index += 1) {
    const character = value[index] as string
    if ((quoted || depth > 0) && character === '\\') index += 1
    else if (quoted) quoted = character !== '"'
    else if (character === '(') depth += 1
    else if (depth > 0) depth -= character === ')' ? 1 : 0
    else if (character === '"') quoted = true
    else if (!angle && (character === ',' || character === ';')) {
      mailboxes.push(current)
      current = ''
    } else if (!angle && character === ':') current = ''
    else {
      if (character === '<') angle = true
      if (character === '>') angle = false
      current += character
    }
  }
  mailboxes.push(current)
  return mailboxes
}
