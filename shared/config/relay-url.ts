/** Where a relay action sends: SMTPD_CONF section 8.2, and `queue://NAME` for a hop to a queue of ours. */
export type RelayUrl =
  | {
      readonly kind: 'smtp' | 'lmtp'
      /** As written, with the brackets of an address literal. */
      readonly host: string
      readonly port: number
      /** STARTTLS when offered, unverified; STARTTLS or nothing, verified; TLS from the start, verified; never. */
      readonly tls: 'opportunistic' | 'required' | 'implicit' | 'never'
      /** Names the entry of the `auth` table. */
      readonly label?: string
    }
  | { readonly kind: 'queue'; readonly name: string }

/** The text is no relay URL; the message says what is wrong with it. */
export class RelayUrlError extends Error {
  override readonly name = 'RelayUrlError'
}

interface Scheme {
  readonly kind: 'smtp' | 'lmtp'
  readonly tls: 'opportunistic' | 'required' | 'implicit' | 'never'
  readonly port?: number
  readonly label: boolean
}

const schemes: Readonly<Record<string, Scheme>> = {
  smtp: { kind: 'smtp', tls: 'opportunistic', port: 25, label: false },
  'smtp+tls': { kind: 'smtp', tls: 'required', port: 25, label: true },
  'smtp+notls': { kind: 'smtp', tls: 'never', port: 25, label: false },
  smtps: { kind: 'smtp', tls: 'implicit', port: 465, label: true },
  lmtp: { kind: 'lmtp', tls: 'never', label: false },
}

/**
 * `[proto://][label@]host[:port]`; a bare host is `smtp://`.
 * @throws RelayUrlError
 */
export function parseRelayUrl(text: string): RelayUrl {
  const [, protocol = 'smtp', rest = ''] = /^(?:([^/:@]+):\/\/)?(.*)$/s.exec(text) ?? []
  if (protocol.toLowerCase() === 'queue') return queueUrl(rest)
  const scheme = Object.hasOwn(schemes, protocol.toLowerCase()) ? schemes[protocol.toLowerCase()] : undefined
  if (scheme === undefined) {
    throw new RelayUrlError(`"${protocol}://" is not one of ${Object.keys(schemes).join(', ')}, queue`)
  }
  const at = rest.indexOf('@')
  const label = at < 0 ? undefined : rest.slice(0, at)
  if (label === '') throw new RelayUrlError('the label before "@" is empty')
  if (label !== undefined && !scheme.label) throw new RelayUrlError('a label needs smtp+tls:// or smtps://')
  const authority = /^(\[[^\]]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(.*))?/s.exec(rest.slice(at + 1))
  const host = authority?.[1]
  if (host === undefined) throw new RelayUrlError('it names no host')
  const port = authority?.[2] === undefined ? scheme.port : portOf(authority[2])
  if (port === undefined) throw new RelayUrlError('lmtp:// needs a port')
  return { kind: scheme.kind, host, port, tls: scheme.tls, ...(label === undefined ? {} : { label }) }
}

/** The queue a relay host means, if it means one. */
export function queueOfHost(host: string): string | undefined {
  return /^queue:\/\/(.+)$/i.exec(host)?.[1]
}

function queueUrl(name: string): RelayUrl {
  if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new RelayUrlError('a queue is named by letters, digits, "_" and "-"')
  return { kind: 'queue', name }
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new RelayUrlError(`"${text}" is not a port`)
  return port
}
