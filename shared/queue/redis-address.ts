/**
 * Where a Redis listens: a unix socket, host and port, the Sentinels that know the primary, or nodes of a Cluster. Holds passwords: never
 * logged, see `describeAddress`.
 */
export type RedisAddress =
  | { readonly kind: 'socket'; readonly path: string; readonly password?: string }
  | (Access & { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly database: number })
  | SentinelAddress
  | ClusterAddress

export interface SentinelAddress extends Access {
  readonly kind: 'sentinel'
  readonly sentinels: readonly RedisNode[]
  /** What the Sentinels call the primary. */
  readonly name: string
  /** Of the Sentinels themselves. */
  readonly sentinelPassword?: string
  readonly database: number
}

export interface ClusterAddress extends Access {
  readonly kind: 'cluster'
  /** Some of its nodes, asked for the others. */
  readonly nodes: readonly RedisNode[]
  /** Begins our keys. It stands in braces, a hash tag: all keys lie in one slot, of one node, and a script may use any of them. */
  readonly prefix: string
}

export interface RedisNode {
  readonly host: string
  readonly port: number
}

interface Access {
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
}

/** Passwords that stand in files, not in the URL. */
export interface RedisSecrets {
  readonly password?: string
  /** Of the Sentinels. */
  readonly sentinelPassword?: string
}

/** The schemes of Redis, as they are written. */
export const redisForms =
  'redis://host:port, rediss://host:port (TLS), redis+sentinel://host:port,host:port/NAME, redis+cluster://host:port,host:port or unix:///path/to/redis.sock'

/**
 * Reads `redis://`, `rediss://` (TLS), `redis+sentinel://`, `redis+cluster://` (`rediss+` with TLS), `unix:///path/to.sock` or a bare absolute
 * path. A password of `secrets` counts more than one in the URL.
 * @throws TypeError when it is none of them; the text never repeats the URL, which may hold a password.
 */
export function parseRedisUrl(text: string, secrets: RedisSecrets = {}): RedisAddress {
  const { password } = secrets
  if (text.startsWith('/')) return { kind: 'socket', path: text, ...(password === undefined ? {} : { password }) }
  if (/^rediss?\+/.test(text)) return parseGroup(text, secrets)
  const url = URL.canParse(text) ? new URL(text) : undefined
  const secret = password ?? (url?.password ? decodeURIComponent(url.password) : undefined)
  switch (url?.protocol) {
    case 'unix:':
    case 'redis+unix:':
      return {
        kind: 'socket',
        path: decodeURIComponent(url.pathname),
        ...(secret === undefined ? {} : { password: secret }),
      }
    case 'redis:':
    case 'rediss:':
      return {
        kind: 'tcp',
        host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1',
        port: url.port === '' ? 6379 : Number(url.port),
        tls: url.protocol === 'rediss:',
        database: databaseOf(url.pathname),
        ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
        ...(secret === undefined ? {} : { password: secret }),
      }
    case undefined:
    default:
      throw new TypeError(`REDIS_URL must be ${redisForms}`)
  }
}

/** Several hosts, which the form of a URL does not know: `redis+sentinel://user:password@a:26379,b:26379/mymaster/0`. */
function parseGroup(text: string, secrets: RedisSecrets): SentinelAddress | ClusterAddress {
  const parts = /^redis(s?)\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^@/]+)(?:\/(.*))?$/.exec(text)
  const [, secure, kind, login = '', hosts = '', path = ''] = parts ?? []
  const defaultPort = kind === 'sentinel' ? 26_379 : 6379
  const nodes = hosts.split(',').map((host) => parseNode(host, defaultPort))
  const [name = '', database = '0'] = path.split('/')
  const known = nodes.filter((node) => node !== undefined)
  const isWhole = kind === 'sentinel' ? /^[^/]+(?:\/\d+)?$/.test(path) : path === ''
  if (parts === null || known.length !== nodes.length || !isWhole) {
    throw new TypeError(`REDIS_URL must be ${redisForms}`)
  }
  const [username = '', inUrl] = login.split(':')
  const password = secrets.password ?? (inUrl === undefined ? undefined : decodeURIComponent(inUrl))
  const access: Access = {
    tls: secure === 's',
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === undefined ? {} : { password }),
  }
  if (kind === 'cluster') return { kind, nodes: known, prefix: tagged('sluice'), ...access }
  const { sentinelPassword } = secrets
  return {
    kind: 'sentinel',
    sentinels: known,
    name,
    database: Number(database),
    ...access,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  }
}

function parseNode(text: string, defaultPort: number): RedisNode | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  return host === undefined ? undefined : { host, port: port === undefined ? defaultPort : Number(port) }
}

/** For logs and messages: no password in it. */
export function describeAddress(address: RedisAddress): string {
  switch (address.kind) {
    case 'socket':
      return address.path
    case 'tcp':
      return placeOf(address)
    case 'sentinel':
      return `${address.name} of the Sentinels ${address.sentinels.map(placeOf).join(', ')}`
    case 'cluster':
      return `the Cluster of ${address.nodes.map(placeOf).join(', ')}`
  }
}

/** What an operator types to reach it. */
export function redisCliOf(address: RedisAddress): string {
  if (address.kind === 'socket') return `redis-cli -s ${address.path}`
  const { host, port } = address.kind === 'tcp' ? address : { host: 'PRIMARY', port: 6379 }
  return `redis-cli -h ${host} -p ${port}${address.tls ? ' --tls' : ''}`
}

/** What begins each key there, and the address with it. */
export function withPrefix(
  address: RedisAddress,
  prefix: string,
): { readonly address: RedisAddress; readonly prefix: string } {
  if (address.kind !== 'cluster') return { address, prefix }
  return { address: { ...address, prefix: tagged(prefix) }, prefix: tagged(prefix) }
}

function tagged(prefix: string): string {
  return /\{[^}]+\}/.test(prefix) ? prefix : `{${prefix}}`
}

function placeOf({ host, port }: RedisNode): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function databaseOf(pathname: string): number {
  const digits = /^\/(\d+)$/.exec(pathname)?.[1]
  return digits === undefined ? 0 : Number(digits)
}
