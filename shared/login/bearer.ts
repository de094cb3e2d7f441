/** Who says he has which token: OAUTHBEARER (RFC 7628 section 3.1) or XOAUTH2. */
export interface BearerClaim {
  /** Empty: whoever the token is for. */
  readonly user: string
  readonly token: string
}

/** Undefined when it is none. */
export function parseBearer(method: 'OAUTHBEARER' | 'XOAUTH2', message: Buffer): BearerClaim | undefined {
  const [first = '', ...pairs] = message.toString('utf8').split('\x01')
  const user = method === 'XOAUTH2' ? /^user=(.*)$/.exec(first)?.[1] : userOf(first)
  const token = pairs
    .map((pair) => /^auth=Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(pair)?.[1])
    .find((one) => one !== undefined)
  return user === undefined || token === undefined ? undefined : { user, token }
}

/** Of the GS2 header, which asks for no channel binding. */
function userOf(header: string): string | undefined {
  const [, name = ''] = /^[ny],(?:a=([^,]*))?,$/.exec(header) ?? [undefined, undefined]
  if (!/^[ny],(?:a=[^,]*)?,$/.test(header) || /=(?!2C|3D)/.test(name)) return undefined
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
