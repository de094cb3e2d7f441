/** Where a Redis listens: a unix socket, or host and port. Holds the password: never logged, see `describeAddress`. */
export type RedisAddress =
  | { readonly kind: 'socket'; readonly path: string; readonly password?: string }
  | {
      readonly kind: 'tcp'
      readonly host: string
      readonly port: number
      readonly tls: boolean
      readonly username?: string
      readonly password?: string
      readonly database: number
    }

/**
 * Reads `redis://`, `rediss://` (TLS), `unix:///path/to.sock` or a bare absolute path.
 * @throws TypeError when it is none of them; the text never repeats the URL, which may hold a password.
 */
export function parseRedisUrl(text: string, password?: string): RedisAddress {
  if (text.startsWith('/')) return { kind: 'socket', path: text, ...(password === undefined ? {} : { password }) }
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
      throw new TypeError('REDIS_URL must be redis://host:port, rediss://host:port or unix:///path/to/redis.sock')
  }
}

/** For logs and messages: no password in it. */
export function describeAddress(address: RedisAddress): string {
  return address.kind === 'socket' ? address.path : `${address.host}:${address.port}`
}

/** What an operator types to reach it. */
export function redisCliOf(address: RedisAddress): string {
  if (address.kind === 'socket') return `redis-cli -s ${address.path}`
  return `redis-cli -h ${address.host} -p ${address.port}${address.tls ? ' --tls' : ''}`
}

function databaseOf(pathname: string): number {
  const digits = /^\/(\d+)$/.exec(pathname)?.[1]
  return digits === undefined ? 0 : Number(digits)
}
