import type { Configuration, RelayAction } from '../../shared/config/model.ts'
import type { RelayUrl } from '../../shared/config/relay-url.ts'
import { ciphersFor, tlsVersions } from '../../shared/config/tls-words.ts'
import type { TlsPolicy } from '../../shared/smtp-client/open-connection.ts'
import type { PemFiles } from './pem-files.ts'

export type UrlTls = Extract<RelayUrl, { readonly host: string }>['tls']

/** TLS towards a host: what the URL asks for, made stricter or laxer by `tls [no-verify]` of the action. */
export async function tlsPolicy(
  url: UrlTls,
  action: RelayAction,
  configuration: Configuration,
  pemFiles: PemFiles,
): Promise<TlsPolicy> {
  const mode = tlsMode(url, action)
  if (mode === 'none') return { mode, verify: false }
  const ca = action.ca === undefined ? configuration.pipeline.tlsCa : configuration.cas.get(action.ca)
  const pki = action.pki === undefined ? undefined : configuration.pkis.get(action.pki)
  const versions = tlsVersions(action.protocols, configuration.pipeline.tlsMinimum) ?? { minVersion: 'TLSv1.3' }
  const ciphers = ciphersFor(versions.minVersion, action.ciphers ?? configuration.ciphers)
  return {
    mode,
    verify: mode !== 'opportunistic' && action.tls !== 'no-verify',
    ...versions,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ca === undefined ? {} : { ca: await pemFiles.read(ca) }),
    ...(pki === undefined ? {} : { cert: await pemFiles.read(pki.cert), key: await pemFiles.read(pki.key) }),
  }
}

function tlsMode(url: UrlTls, action: RelayAction): TlsPolicy['mode'] {
  switch (url) {
    case 'never':
      return 'none'
    case 'implicit':
    case 'required':
      return url
    case 'opportunistic':
      return action.tls === undefined ? 'opportunistic' : 'required'
  }
}
