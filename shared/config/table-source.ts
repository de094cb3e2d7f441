import { closest } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { SocketPlace, Table } from './model.ts'
import { resolvePath } from './path.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parsePlace } from './socket-place.ts'
import { findTableProgram } from './table-program.ts'

type Source = Table['source']

/** `BACKEND:ARGUMENT` of a table, as it stands. */
interface Where {
  readonly token: Token
  readonly backend: string
  /** Empty: nothing follows the backend. */
  readonly argument: string
}

type ReadBackend = (draft: PolicyDraft, where: Where) => Source

/** What a table is read from, or who answers for it: `/path`, `file:/path`, `BACKEND:ARGUMENT`, `BACKEND`. */
export function sourceOf(draft: PolicyDraft, token: Token): Source {
  const { text, span } = token
  if (/^\.{0,2}\//.test(text)) return { kind: 'file', path: resolvePath(text, span.file) }
  const colon = text.indexOf(':')
  const backend = colon < 0 ? text : text.slice(0, colon)
  const where = { token, backend, argument: colon < 0 ? '' : text.slice(colon + 1) }
  const read = Object.hasOwn(backends, backend) ? backends[backend] : programSource
  return (read ?? programSource)(draft, where)
}

const postfixFile: ReadBackend = (draft, where) => ({ kind: 'file', path: pathOf(draft, where), format: 'postfix' })

/** Backends we are ourselves; every other one is a program. */
const backends: Readonly<Record<string, ReadBackend>> = {
  file: (draft, where) => ({ kind: 'file', path: pathOf(draft, where) }),
  passwd: (draft, where) => ({ kind: 'file', path: pathOf(draft, where), format: 'passwd' }),
  db: textOfDatabase,
  hash: postfixFile,
  texthash: postfixFile,
  btree: postfixFile,
  cdb: postfixFile,
  dbm: postfixFile,
  lmdb: postfixFile,
  sdbm: postfixFile,
  cidr: (draft, where) => ({ kind: 'patterns', path: pathOf(draft, where), format: 'cidr' }),
  regexp: (draft, where) => ({ kind: 'patterns', path: pathOf(draft, where), format: 'regexp' }),
  pcre: (draft, where) => ({ kind: 'patterns', path: pathOf(draft, where), format: 'pcre' }),
  static: staticSource,
  environ: environmentSource,
  tcp: (draft, where) => ({ kind: 'server', protocol: 'tcp', place: placeOf(draft, where) }),
  socketmap: socketmapSource,
  dovecot: (draft, where) => ({ kind: 'server', protocol: 'dovecot', place: placeOf(draft, where) }),
  http: httpSource,
  https: httpSource,
  ldap: (draft, where) => ({ kind: 'backend', backend: 'ldap', config: pathOf(draft, where) }),
  mysql: (draft, where) => ({ kind: 'backend', backend: 'mysql', config: pathOf(draft, where) }),
  pgsql: (draft, where) => ({ kind: 'backend', backend: 'postgres', config: pathOf(draft, where) }),
  postgres: (draft, where) => ({ kind: 'backend', backend: 'postgres', config: pathOf(draft, where) }),
  redis: (draft, where) => ({ kind: 'backend', backend: 'redis', config: pathOf(draft, where) }),
  sqlite: (draft, where) => ({ kind: 'backend', backend: 'sqlite', config: pathOf(draft, where) }),
}

/** Types that a table may have, but for programs. */
export const tableTypes: readonly string[] = Object.keys(backends)

/** Backends of Postfix that are none here, and what to write. */
const instead: Readonly<Record<string, string>> = {
  inline: 'write the entries: table NAME { key = value, ... }',
  internal: 'write the entries: table NAME { key = value, ... }',
  memcache: 'answers are kept for a while by themselves',
  nis: 'use file: and a copy of the map',
  nisplus: 'use file: and a copy of the map',
  pipemap: 'use the second table where its values are looked up',
  proxy: 'leave "proxy:" away: all services share one connection as it is',
  randmap: 'write the entries in { }: they are taken by turns',
  unionmap: 'put all entries into one table',
  unix: 'unix:passwd.byname is passwd:/etc/passwd',
}

const none: Source = { kind: 'inline', list: [] }

function pathOf({ reader }: PolicyDraft, { token, backend, argument }: Where): string {
  if (argument === '') reader.fail('syntax', `"${backend}:" names no file`, token.span, `${backend}:/path`)
  return resolvePath(argument, token.span.file)
}

/** OpenSMTPD's `static:/path` is a file, Postfix's `static:value` a value; `static:{/value}` says so. */
function staticSource({ reader }: PolicyDraft, { token, argument }: Where): Source {
  const { span } = token
  if (argument === '') reader.fail('syntax', '"static:" has no value', span, 'static:value, or static:/path of a file')
  if (/^\.{0,2}\//.test(argument)) return { kind: 'file', path: resolvePath(argument, span.file) }
  return { kind: 'static', value: /^\{(.*)\}$/s.exec(argument)?.[1]?.trim() ?? argument }
}

/** Whoever writes to us chooses the keys, so that there must be a beginning that secrets do not have. */
function environmentSource({ reader }: PolicyDraft, { token, argument: prefix }: Where): Source {
  if (!/^[A-Za-z_]\w*$/.test(prefix)) {
    const hint = 'name what its variables begin with: environ:MAIL_'
    reader.fail('syntax', `"${token.text}" would tell every variable of the environment`, token.span, hint)
  }
  return { kind: 'environment', prefix }
}

function placeOf({ reader }: PolicyDraft, { token, backend, argument }: Where): SocketPlace {
  const place = parsePlace(argument)
  const hint = `${backend}:127.0.0.1:2000, or ${backend}:/path/of/socket`
  return place ?? reader.fail('value', `"${token.text}" does not say where its server listens`, token.span, hint)
}

/** As Postfix writes it: `socketmap:inet:HOST:PORT:MAP`, `socketmap:unix:/PATH:MAP`. */
function socketmapSource({ reader }: PolicyDraft, { token, argument }: Where): Source {
  const [, family, server = '', map] = /^(inet|unix):(.+):([^:\s]+)$/.exec(argument) ?? []
  const place = parsePlace(server)
  if (map === undefined || place === undefined || (place.kind === 'unix') !== (family === 'unix')) {
    const hint = 'socketmap:inet:127.0.0.1:2000:NAME, or socketmap:unix:/path/of/socket:NAME'
    return reader.fail('value', `"${token.text}" does not name a server and its map`, token.span, hint)
  }
  return { kind: 'server', protocol: 'socketmap', place, map }
}

/** An address, or the file of its settings. No password may stand in the address: it would be printed. */
function httpSource(draft: PolicyDraft, where: Where): Source {
  const { reader } = draft
  const { token, argument } = where
  if (/^\/[^/]/.test(argument)) return { kind: 'backend', backend: 'http', config: pathOf(draft, where) }
  const url = URL.canParse(token.text.replaceAll('%', '-')) ? new URL(token.text.replaceAll('%', '-')) : undefined
  if (url === undefined || url.host === '' || !/^https?:\/\/[^/]/.test(token.text))
    return reader.fail('value', `"${token.text}" is no address`, token.span, '"http://users.local/aliases?key=%s"')
  if (url.username !== '' || url.password !== '') {
    const hint = 'put it into a file of settings: http:/etc/mail/http.conf'
    return reader.fail('value', 'no password may stand in the address of a table', token.span, hint)
  }
  if (url.hash !== '') return reader.fail('value', 'the part behind "#" is not sent', token.span, 'remove it')
  return { kind: 'http', url: token.text }
}

/** makemap(8) makes `/path.db` of the text `/path`: that is read. */
function textOfDatabase(draft: PolicyDraft, where: Where): Source {
  const { span } = where.token
  const path = pathOf(draft, where)
  const text = path.replace(/\.db$/, '')
  try {
    if (text === path) throw new Error('no text is known')
    draft.read(text)
    return { kind: 'file', path: text }
  } catch {
    const message =
      text === path
        ? 'a db: table is read from the text it was made of'
        : `db: tables are read from ${text}, which is not there`
    draft.reader.report('unsupported', message, span, 'write file: and the text file the database was made of')
    return none
  }
}

/** Any other backend is a program, `table-NAME`, which is told the path. */
function programSource(draft: PolicyDraft, where: Where): Source {
  const { reader, libexec } = draft
  const { token, backend, argument } = where
  const { span } = token
  const program = /^[\w.-]+$/.test(backend) ? findTableProgram(backend, libexec) : undefined
  if (program === undefined) {
    const message = `there is no table backend "${backend}": no program table-${backend} in ${libexec.join(', ')}`
    reader.report('unsupported', message, span, hintFor(where))
    return none
  }
  if (argument === '') return { kind: 'process', program }
  if (!/^\.{0,2}\//.test(argument))
    reader.fail('syntax', `"${token.text}": a path follows the colon`, span, `${backend}:/path`)
  return { kind: 'process', program, config: resolvePath(argument, span.file) }
}

function hintFor({ token, backend, argument }: Where): string {
  const known = Object.hasOwn(instead, backend) ? instead[backend] : undefined
  if (known !== undefined) return known
  const meant = closest(backend, Object.keys(backends))
  if (meant !== undefined) return `did you mean "${meant}:${argument}"?`
  if (argument === '') return `a file is written file:${token.text}`
  return `install it, name its folder in SMTPD_LIBEXEC, or use one of: ${Object.keys(backends).join(', ')}`
}
