/** Why a TLS handshake came to nothing, and with whom; `undefined`: the connection broke for another reason. */
export function handshakeFailure(error: Error): { readonly address: string; readonly reason: string } | undefined {
  const meta: unknown = 'meta' in error ? error.meta : undefined
  if (typeof meta !== 'object' || meta === null) return undefined
  const told = 'message' in meta && typeof meta.message === 'string' ? meta.message : error.message
  const address = 'remoteAddress' in meta && typeof meta.remoteAddress === 'string' ? meta.remoteAddress : '-'
  return { address: address.replace(/^::ffff:(?=\d+\.)/i, ''), reason: told.slice(0, mostCharacters) }
}

const mostCharacters = 200
