import { withDeadline } from '../deadline.ts'
import { lookupBy, post } from '../post.ts'
import type { Resolver } from '../resolver.ts'

export interface PostOptions {
  readonly resolver: Pick<Resolver, 'a' | 'aaaa'>
  readonly signal: AbortSignal
  /** PEM: trusted roots instead of those that come with Node. */
  readonly ca?: string
}

const timeoutMs = 60_000

/**
 * Hands a report to a collector (RFC 8460 §3, §5.4): 2xx means taken. The certificate must be the collector's and redirects are not
 * followed, so that a record in the DNS leads nowhere but to a host that proves its name.
 * @throws Error that says why it was not taken
 */
export async function postReport(
  uri: string,
  type: string,
  body: Buffer,
  { resolver, signal, ca }: PostOptions,
): Promise<void> {
  const url = new URL(uri)
  if (url.protocol !== 'https:') throw new Error(`${uri} is not a URL of https`)
  const code = await withDeadline(signal, timeoutMs, async (limited) => {
    const lookup = await lookupBy(resolver, url.hostname)
    const headers = { 'content-type': type }
    return post({ url, headers, body, lookup, signal: limited, ...(ca === undefined ? {} : { ca }) })
  })
  if (code < 200 || code > 299) throw new Error(`${url.host} answered ${code}`)
}
