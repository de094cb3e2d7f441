import type { Endpoint } from './open-connection.ts'

/** Upstream's default, odd as it is for LMTP. */
const defaultPort = 25

/**
 * Where `lmtp "..."` delivers: a socket path or `host[:port]`; `socket "path" is "host:port"` of pipeline.conf puts
 * another place for it.
 */
export function lmtpEndpoint(destination: string, sockets: ReadonlyMap<string, string>): Endpoint {
  const place = sockets.get(destination) ?? destination
  if (place.startsWith('/')) return { kind: 'unix', path: place }
  const [, literal, name = '', port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(place) ?? []
  // A bare IPv6 address has colons of its own.
  if (literal === undefined && name === '') return { kind: 'tcp', host: place, port: defaultPort }
  return { kind: 'tcp', host: literal ?? name, port: port === undefined ? defaultPort : Number(port) }
}
