import type { EventStoreSetting, SocketPlace } from './model.ts'
import { choiceOf, namedFile } from './pipeline-draft.ts'
import type { PipelineDraft } from './pipeline-draft.ts'
import type { TokenReader } from './token-reader.ts'

const urlExample =
  '"postgres://sluice@db.example.net/sluice", or "postgres://sluice@%2Frun%2Fpostgresql/sluice" for a socket'
const standardPort = 5432

type PostgresSetting = Extract<EventStoreSetting, { readonly kind: 'postgresql' }>

/** `store sqlite`, or `store postgresql "postgres://USER@HOST[:PORT]/DATABASE" [password file PATH] [tls [ca PATH]]`. */
export function parseEventStore(draft: PipelineDraft): EventStoreSetting {
  const { reader } = draft
  if (!reader.accept('store')) reader.unexpected('store', ['store'])
  if (choiceOf(reader, ['sqlite', 'postgresql'] as const, 'a database') === 'sqlite') return { kind: 'sqlite' }
  let setting = parseUrl(reader)
  while (!reader.atEnd()) {
    if (setting.passwordFile === undefined && reader.accept('password')) {
      reader.expect('file', 'behind "password"')
      setting = { ...setting, passwordFile: namedFile(draft, 'the password of PostgreSQL') }
    } else if (setting.tls === undefined && reader.accept('tls')) {
      const ca = reader.accept('ca') ? { caFile: namedFile(draft, 'the authorities of PostgreSQL') } : {}
      setting = { ...setting, tls: ca }
    } else reader.unexpected('password or tls', ['password', 'tls'])
  }
  if (setting.tls !== undefined && setting.place.kind === 'unix')
    reader.fail('value', 'a unix socket has no TLS', reader.peek().span, 'the statement without "tls"')
  return setting
}

function parseUrl(reader: TokenReader): PostgresSetting {
  const token = reader.string('the URL of the database')
  const refuse = (what: string, instead = urlExample): never => reader.fail('value', what, token.span, instead)
  const url = /^postgres(?:ql)?:\/\//.test(token.text) ? parsed(token.text) : undefined
  if (url === undefined) return refuse(`"${token.text}" is not a URL of PostgreSQL`)
  if (url.password !== '') return refuse('a password must not stand in this file', 'write `password file "/path"`')
  const [user, database] = [decoded(url.username), decoded(url.pathname.slice(1))]
  if (user === '') return refuse('the URL names no user')
  if (database === '' || database.includes('/')) return refuse('the URL names no database')
  if (url.search !== '' || url.hash !== '')
    return refuse(`"${url.search}${url.hash}" is not understood in the URL`, 'the word "tls" behind it for TLS')
  const place = placeOf(url)
  if (place?.kind === 'unix' && url.port !== '')
    return refuse('the port of a socket is 5432: it is part of its name', "the socket's folder without a port")
  return place === undefined ? refuse('the URL names no host') : { kind: 'postgresql', place, user, database }
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

function placeOf({ hostname, port }: URL): SocketPlace | undefined {
  const host = decoded(hostname).replaceAll(/^\[|\]$/g, '')
  if (host === '') return undefined
  if (host.startsWith('/')) return { kind: 'unix', path: host }
  return { kind: 'tcp', host, port: port === '' ? standardPort : Number(port) }
}

/** `%40` stands for `@`; what cannot be read is empty. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
