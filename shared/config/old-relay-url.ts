import { parseRelayUrl, RelayUrlError } from './relay-url.ts'

/** What an old relay URL means in the words of today. */
export interface OldRelayUrl {
  /** URLs of today; two for `secure`: TLS from the start, else STARTTLS. */
  readonly hosts: readonly string[]
  /** The connection is encrypted: `verify` may be asked for. */
  readonly encrypted: boolean
  /** `+auth`: a label and a table of passwords are needed. */
  readonly auth: boolean
}

interface OldScheme {
  readonly protocols: readonly string[]
  readonly auth: boolean
}

/** SMTPD_CONF section 4: `smtp+tls` was opportunistic and now is not, so the word may not be carried over. */
const schemes: Readonly<Record<string, OldScheme>> = {
  smtp: { protocols: ['smtp'], auth: false },
  'smtp+tls': { protocols: ['smtp'], auth: false },
  lmtp: { protocols: ['lmtp'], auth: false },
  smtps: { protocols: ['smtps'], auth: false },
  tls: { protocols: ['smtp+tls'], auth: false },
  secure: { protocols: ['smtps', 'smtp+tls'], auth: false },
  ssl: { protocols: ['smtps', 'smtp+tls'], auth: false },
  'smtps+auth': { protocols: ['smtps'], auth: true },
  'tls+auth': { protocols: ['smtp+tls'], auth: true },
  'secure+auth': { protocols: ['smtps', 'smtp+tls'], auth: true },
  'ssl+auth': { protocols: ['smtps', 'smtp+tls'], auth: true },
}

/**
 * `[proto://][label@]host[:port]` of 5.3 to 6.0.3.
 * @throws RelayUrlError
 */
export function parseOldRelayUrl(text: string): OldRelayUrl {
  const [, protocol = 'smtp', rest = ''] = /^(?:([^/:@]+):\/\/)?(.*)$/s.exec(text) ?? []
  const name = protocol.toLowerCase()
  if (name === 'backup' || name === 'tls+backup') {
    throw new RelayUrlError(`${protocol}:// is not supported: write \`relay backup "our.mx"\``)
  }
  if (name === 'queue') return { hosts: [checked(text)], encrypted: false, auth: false }
  const scheme = Object.hasOwn(schemes, name) ? schemes[name] : undefined
  if (scheme === undefined) throw new RelayUrlError(`"${protocol}://" is not one of ${Object.keys(schemes).join(', ')}`)
  const labelled = rest.includes('@')
  if (scheme.auth && !labelled) throw new RelayUrlError(`${protocol}:// needs a label: ${protocol}://label@host`)
  if (!scheme.auth && labelled) throw new RelayUrlError(`a label needs a protocol with +auth: ${protocol}+auth://`)
  const hosts = scheme.protocols.map((one) => checked(`${one}://${rest}`))
  const encrypted = scheme.protocols.some((one) => one === 'smtps' || one === 'smtp+tls')
  return { hosts, encrypted, auth: scheme.auth }
}

function checked(url: string): string {
  parseRelayUrl(url)
  return url
}
