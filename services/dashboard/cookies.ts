/** The value of a cookie in a Cookie header (RFC 6265 §4.2); the first when there are several of that name. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

/**
 * A Set-Cookie value: never seen by scripts, never sent from another site, gone with the browser. Over HTTPS the `__Host-`
 * name keeps a neighbouring host from planting it. An empty value takes the cookie away.
 */
export function writeCookie(name: string, value: string, secure: boolean): string {
  const end = value === '' ? '; Max-Age=0' : ''
  return `${cookieName(name, secure)}=${value}; Path=/; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}${end}`
}

export function cookieName(name: string, secure: boolean): string {
  return secure ? `__Host-${name}` : name
}
