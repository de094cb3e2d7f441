import type { SocketPlace } from './model.ts'

/** `host:port`, `[::1]:port`, or the path of a unix socket; `undefined`: none of them. */
export function parsePlace(text: string): SocketPlace | undefined {
  if (text.startsWith('/')) return { kind: 'unix', path: text }
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:/]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined
  return { kind: 'tcp', host, port: Number(port) }
}
