import { isIP } from 'node:net'

/** Nothing from elsewhere, nothing inline, no frame, no plugin: a hostile subject that slipped through could still do nothing. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** On every response. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}

/**
 * Whether a request with this Host header may be answered. While we listen on a loopback address only, a page from
 * elsewhere could reach us through a name that resolves to it (DNS rebinding); such a name is not one of these.
 */
export function isHostAllowed(host: string | undefined, boundTo: string): boolean {
  if (!isLoopback(boundTo)) return true
  if (host === undefined) return false
  const name = hostName(host)
  return name === 'localhost' || name.endsWith('.localhost') || (isIP(name) !== 0 && isLoopback(name))
}

/** Whether the Host header is that of `dashboard url`. */
export function isAddressedBy(host: string | undefined, url: string | undefined): boolean {
  return host !== undefined && url !== undefined && host.toLowerCase() === new URL(url).host
}

export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)
}

/** The name of a Host header without port and brackets, in lower case. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host)?.[1]
  return (bracketed ?? host.replace(/:\d+$/, '')).toLowerCase().replace(/\.$/, '')
}
