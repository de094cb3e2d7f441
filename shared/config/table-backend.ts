import { tableServices } from './external-table.ts'
import type { TableService } from './external-table.ts'
import { keyTemplate } from './key-template.ts'
import type { KeyTemplate } from './key-template.ts'
import type { SocketPlace } from './model.ts'
import { SettingsFile } from './settings-file.ts'
import { TableFormatError } from './table-file.ts'
import { parseSqlQuery } from './sql-query.ts'
import type { SqlQuery } from './sql-query.ts'

/** Servers and databases whose settings stand in a file of their own. They may hold passwords: they are no part of the model. */
export type TableBackend = HttpBackend | LdapBackend | RedisBackend | SqlBackend | SqliteBackend

export type BackendKind = TableBackend['kind']

/** What is asked, by what a table is asked for. */
export interface Asked<Question> {
  /** For services that have none of their own. */
  readonly any?: Question
  readonly by: ReadonlyMap<TableService, Question>
}

interface Timed {
  /** For one answer. */
  readonly timeoutMs: number
}

export interface HttpBackend extends Timed {
  readonly kind: 'http'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly ca?: string
}

export interface TlsSettings {
  /** In PEM; absent: the well-known authorities. */
  readonly ca?: string
}

export interface RedisBackend extends Timed {
  readonly kind: 'redis'
  readonly place: SocketPlace
  readonly database: number
  readonly username?: string
  readonly password?: string
  readonly tls: boolean
  /** In PEM; absent: the well-known authorities. */
  readonly ca?: string
  readonly commands: Asked<RedisCommand>
}

export interface RedisCommand {
  readonly name: 'GET' | 'HGET' | 'SISMEMBER' | 'SMEMBERS'
  readonly arguments: readonly KeyTemplate[]
}

interface SqlQueries {
  readonly queries: Asked<SqlQuery>
  /** Lists: all rows, by turns. */
  readonly lists: Asked<SqlQuery>
}

export interface SqliteBackend extends Timed, SqlQueries {
  readonly kind: 'sqlite'
  readonly path: string
}

export interface SqlBackend extends Timed, SqlQueries {
  readonly kind: 'mysql' | 'postgres'
  readonly place: SocketPlace
  readonly username: string
  readonly password?: string
  readonly database: string
  /** Absent: plain text. */
  readonly tls?: TlsSettings
}

export interface LdapBackend extends Timed {
  readonly kind: 'ldap'
  /** `ldap://`, `ldaps://` */
  readonly url: string
  readonly startTls: boolean
  readonly ca?: string
  /** Absent: anonymous. */
  readonly bind?: { readonly dn: string; readonly password: string }
  readonly base: string
  readonly scope: 'base' | 'one' | 'sub'
  readonly searches: Asked<LdapSearch>
}

export interface LdapSearch {
  readonly filter: KeyTemplate
  readonly attributes: readonly string[]
}

/**
 * The settings of a table, as OpenSMTPD's table programs and Postfix name them.
 * @param read gives the text of a file: the settings, passwords, certificates
 * @throws TableFormatError
 */
export function readBackend(kind: BackendKind, path: string, read: (path: string) => string): TableBackend {
  const file = new SettingsFile(path, read)
  try {
    const backend = readers[kind](file, (file.number(1, 60, 'timeout') ?? 5) * 1000)
    file.end()
    return backend
  } catch (error) {
    if (error instanceof TableFormatError) throw error
    throw new TableFormatError(1, error instanceof Error ? error.message : String(error))
  }
}

const readers: Readonly<Record<BackendKind, (file: SettingsFile, timeoutMs: number) => TableBackend>> = {
  http: readHttp,
  ldap: readLdap,
  mysql: (file, timeoutMs) => readSql(file, timeoutMs, 'mysql', 3306),
  postgres: (file, timeoutMs) => readSql(file, timeoutMs, 'postgres', 5432),
  redis: readRedis,
  sqlite: (file, timeoutMs) => ({
    kind: 'sqlite',
    timeoutMs,
    path: file.path('dbpath'),
    ...readQueries(file, 'sqlite'),
  }),
}

function readHttp(file: SettingsFile, timeoutMs: number): HttpBackend {
  const url = file.required('url')
  if (!/^https?:\/\/[^/]/.test(url)) throw new Error(`${url} is no address`)
  const token = file.secret('token')
  const username = file.text('username', 'user')
  const password = file.secret('password')
  const basic = username === undefined ? undefined : Buffer.from(`${username}:${password ?? ''}`).toString('base64')
  const authorization = token === undefined ? basic && `Basic ${basic}` : `Bearer ${token}`
  const headers = authorization === undefined ? {} : { authorization }
  return { kind: 'http', timeoutMs, url, headers, ...present({ ca: file.content('ca_file') }) }
}

function readRedis(file: SettingsFile, timeoutMs: number): RedisBackend {
  const ca = file.content('ca_file')
  return {
    kind: 'redis',
    timeoutMs,
    place: placeOf(file, ['host', 'server', 'master'], 6379),
    database: file.number(0, 1_000_000, 'database', 'db') ?? 0,
    ...present({ username: file.text('username', 'user'), password: file.secret('password') }),
    tls: file.choice(['yes', 'no'], 'tls') === 'yes' || ca !== undefined,
    ...present({ ca }),
    commands: readAsked(file, 'query', '', parseCommand),
  }
}

function readSql(file: SettingsFile, timeoutMs: number, kind: 'mysql' | 'postgres', port: number): SqlBackend {
  const place = kind === 'postgres' ? file.parsed(readConninfo, 'conninfo') : undefined
  const ca = file.content('ca_file')
  const tls = file.choice(['yes', 'no'], 'tls') === 'yes' || place?.tls === true || ca !== undefined
  return {
    kind,
    timeoutMs,
    place: place?.place ?? placeOf(file, ['host', 'hosts'], port),
    username: place?.username ?? file.required('username', 'user'),
    ...present({ password: place?.password ?? file.secret('password') }),
    database: place?.database ?? file.required('database', 'dbname'),
    ...(tls ? { tls: present({ ca }) } : {}),
    ...readQueries(file, kind),
  }
}

/** Of OpenSMTPD's table-postgres: `host=db.local user='mail' dbname=mail`, as libpq takes it. */
function readConninfo(
  text: string,
): Pick<SqlBackend, 'place' | 'username' | 'password' | 'database'> & { tls: boolean } {
  const words = new Map<string, string>()
  const rest = text.replace(
    /(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s']+))\s*/g,
    (_all, name: string, quoted, plain) => {
      words.set(name, String(quoted ?? plain).replace(/\\(.)/g, '$1'))
      return ''
    },
  )
  const known = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname', 'sslmode', 'connect_timeout']
  const unknown = [...words.keys()].find((name) => !known.includes(name))
  if (rest !== '' || unknown !== undefined)
    throw new Error(`conninfo: "${unknown ?? rest}" is not understood; one of: ${known.join(', ')}`)
  const [user, host = '/run/postgresql', port] = [
    words.get('user'),
    words.get('hostaddr') ?? words.get('host'),
    Number(words.get('port') ?? 5432),
  ]
  if (user === undefined) throw new Error('conninfo has no user')
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('conninfo: the port is a number')
  return {
    place: host.startsWith('/') ? { kind: 'unix', path: host } : { kind: 'tcp', host, port },
    username: user,
    ...present({ password: words.get('password') }),
    database: words.get('dbname') ?? user,
    tls: ['require', 'verify-ca', 'verify-full'].includes(words.get('sslmode') ?? ''),
  }
}

function readLdap(file: SettingsFile, timeoutMs: number): LdapBackend {
  const url = file.required('url', 'server_host')
  if (!/^ldaps?:\/\/[^/]+\/?$/.test(url)) throw new Error(`${url}: write ldap://host[:port] or ldaps://host[:port]`)
  const dn = file.text('username', 'bind_dn')
  const password = file.secret('password', 'bind_pw')
  const attributes = readAsked(file, '', 'attributes', parseWords)
  const any = file.parsed(parseWords, 'result_attribute')
  const filters = readAsked(file, '', 'filter', parseFilter)
  const anyFilter = filters.any ?? file.parsed(parseFilter, 'query_filter')
  const searchOf = (service?: TableService): LdapSearch | undefined => {
    const filter = (service && filters.by.get(service)) ?? anyFilter
    const wanted = (service && attributes.by.get(service)) ?? attributes.any ?? any
    return filter === undefined || wanted === undefined ? undefined : { filter, attributes: wanted }
  }
  return {
    kind: 'ldap',
    timeoutMs,
    url,
    startTls: file.choice(['yes', 'no'], 'start_tls') === 'yes',
    ...present({ ca: file.content('ca_file', 'tls_ca_cert_file') }),
    ...(dn === undefined ? {} : { bind: { dn, password: password ?? '' } }),
    base: file.required('basedn', 'search_base'),
    scope: file.choice(['base', 'one', 'sub'], 'scope') ?? 'sub',
    searches: askedOf(searchOf),
  }
}

/** A host with its port, or a socket. */
function placeOf(file: SettingsFile, names: readonly string[], standard: number): SocketPlace {
  const socket = file.text('socket')
  const host = file.text(...names)
  const port = file.number(1, 65_535, 'port', 'master_port') ?? standard
  if (socket !== undefined && host !== undefined) throw new Error(`${names[0]} and socket: one of them`)
  const path = socket ?? (host?.startsWith('/') === true ? host : undefined)
  if (path !== undefined) return { kind: 'unix', path }
  if (host !== undefined && !/^[A-Za-z0-9.:_-]+$/.test(host))
    throw new Error(`${host}: write one host, and its port as "port"`)
  return { kind: 'tcp', host: host ?? '127.0.0.1', port }
}

function readQueries(file: SettingsFile, dialect: 'mysql' | 'postgres' | 'sqlite'): SqlQueries {
  const list = (text: string): SqlQuery => {
    const query = parseSqlQuery(text, dialect)
    if (query.places.length > 0) throw new Error('a list has no key: its query has no place for one')
    return query
  }
  const byKey = (text: string): SqlQuery => {
    const query = parseSqlQuery(text, dialect)
    if (query.places.length === 0)
      throw new Error(`it would not ask for the key: write ${dialect === 'postgres' ? '$1' : '?'}`)
    return query
  }
  return { lists: readAsked(file, 'fetch', '', list, true), queries: readAsked(file, 'query', '', byKey) }
}

/** `query_alias`, `query` (or `alias_filter`, `filter`): at least one. */
function readAsked<Question>(
  file: SettingsFile,
  before: string,
  behind: string,
  parse: (text: string) => Question,
  mayBeNone = before === '',
): Asked<Question> {
  const by = tableServices.flatMap((service): [TableService, Question][] => {
    const question = file.parsed(parse, before === '' ? `${service}_${behind}` : `${before}_${service}`)
    return question === undefined ? [] : [[service, question]]
  })
  const any = file.parsed(parse, before === '' ? behind : before)
  if (any === undefined && by.length === 0 && !mayBeNone) throw new Error(`${before} is missing`)
  return { ...present({ any }), by: new Map(by) }
}

function askedOf(questionOf: (service?: TableService) => LdapSearch | undefined): Asked<LdapSearch> {
  const by = tableServices.flatMap((service): [TableService, LdapSearch][] => {
    const question = questionOf(service)
    return question === undefined ? [] : [[service, question]]
  })
  if (by.length === 0) throw new Error('filter and attributes are missing')
  return { by: new Map(by) }
}

function parseFilter(text: string): KeyTemplate {
  const filter = keyTemplate(text)
  if (!filter.hasPlace) throw new Error(`${text} has no %s: it would not ask for the key`)
  return filter
}

function parseWords(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '')
}

/** A word with a blank cannot be written. */
function parseCommand(text: string): RedisCommand {
  const [word = '', ...rest] = text.split(/\s+/)
  const known = ['GET', 'HGET', 'SISMEMBER', 'SMEMBERS'] as const
  const name = known.find((one) => one === word.toUpperCase())
  if (name === undefined) throw new Error(`${word}: a command is one of ${known.join(', ')}`)
  const wanted = name === 'HGET' || name === 'SISMEMBER' ? 2 : 1
  if (rest.length !== wanted) throw new Error(`${name} has ${wanted} arguments, not ${rest.length}`)
  const templates = rest.map((one) => keyTemplate(one))
  if (!templates.some(({ hasPlace }) => hasPlace)) throw new Error(`${name} has no %s: it would not ask for the key`)
  return { name, arguments: templates }
}

type Present<Fields> = { [name in keyof Fields]?: Exclude<Fields[name], undefined> }

/** Without what is `undefined`. */
function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>
}
