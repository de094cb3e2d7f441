import { isIP } from 'node:net'

import { isLoopback } from './loopback.ts'
import type { AcmeSettings } from './model.ts'
import { finish, placeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { resolvePath } from './path.ts'

/** Certificates that are ordered and renewed by themselves (RFC 8555). */
export const acmeStatements: Readonly<Record<string, ParseStatement>> = { acme: parseAcme }

const domainPattern = /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/

/** `acme directory URL email ADDRESS domains NAME ... certificate FILE key FILE http "host:port" | dns hook FILE`. */
function parseAcme(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const directory = directoryOf(draft)
  reader.expect('email', 'behind the directory')
  const email = reader.string('an address of the one to tell')
  if (!/^[^@\s]+@[^@\s]+$/.test(email.text)) reader.fail('value', `"${email.text}" is no address`, email.span)
  reader.expect('domains', 'behind the address')
  const domains = [domainOf(draft)]
  while (reader.accept(',') || reader.peek().kind === 'string') domains.push(domainOf(draft))
  reader.expect('certificate', 'behind the domains')
  const certFile = fileOf(draft, 'the certificate')
  reader.expect('key', 'behind the certificate')
  const keyFile = fileOf(draft, 'the key')
  const acme: AcmeSettings = {
    directory,
    email: email.text,
    domains,
    certFile,
    keyFile,
    challenge: challengeOf(draft, domains),
  }
  finish(draft, { acme })
}

function directoryOf({ reader }: PipelineDraft): string {
  reader.expect('directory', 'behind "acme"')
  const token = reader.string('the URL of the directory')
  const url = URL.canParse(token.text) ? new URL(token.text) : undefined
  const sound = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (!sound)
    reader.fail(
      'value',
      `"${token.text}" is not a URL of https`,
      token.span,
      'the one your certificate authority names',
    )
  return token.text
}

function domainOf({ reader }: PipelineDraft): string {
  const token = reader.string('a domain')
  const name = token.text.toLowerCase()
  if (!domainPattern.test(name) || isIP(name) !== 0)
    reader.fail('value', `"${token.text}" is not a domain that a certificate can name`, token.span)
  return name
}

/** Not looked for: it is made. */
function fileOf({ reader }: PipelineDraft, what: string): string {
  const token = reader.string(`the file of ${what}`)
  return resolvePath(token.text, token.span.file)
}

function challengeOf(draft: PipelineDraft, domains: readonly string[]): AcmeSettings['challenge'] {
  const { reader } = draft
  if (reader.accept('dns')) {
    reader.expect('hook', 'behind "dns"')
    const hook = reader.string('the hook')
    const path = resolvePath(hook.text, hook.span.file)
    draft.files.push({ path, what: 'the hook', span: hook.span })
    return { kind: 'dns', hook: path }
  }
  const at = reader.expect('http', 'or "dns" behind the key')
  const place = placeOf(reader, 'the server of challenges')
  if (place.kind === 'unix')
    return reader.fail('value', 'it listens on an address and a port', at.span, 'http "0.0.0.0:80"')
  if (domains.some((name) => name.startsWith('*.')))
    reader.fail('value', 'names with a wildcard are proved by DNS only', at.span, 'dns hook "/path"')
  return { kind: 'http', host: place.host, port: place.port }
}
