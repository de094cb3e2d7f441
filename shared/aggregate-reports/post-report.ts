import type { LookupFunction } from 'node:net'
import { request } from 'node:https'

import { withDeadline } from '../deadline.ts'
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
export async function postReport(uri: string, type: string, body: Buffer, options: PostOptions): Promise<void> {
  const url = new URL(uri)
  const code = await withDeadline(options.signal, timeoutMs, async (signal) => {
    const addresses = await addressesOf(url.hostname, options.resolver)
    return post(url, type, body, { ...options, signal, addresses })
  })
  if (code < 200 || code > 299) throw new Error(`${url.host} answered ${code}`)
}

interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** Names are asked of the same servers as all others; an address in place of a name has none. */
async function addressesOf(name: string, resolver: PostOptions['resolver']): Promise<readonly [Address, ...Address[]]> {
  const [six, four] = await Promise.all([resolver.aaaa(name), resolver.a(name)])
  const [first, ...others] = [
    ...(six.kind === 'found' ? six.records.map((address) => ({ address, family: 6 as const })) : []),
    ...(four.kind === 'found' ? four.records.map((address) => ({ address, family: 4 as const })) : []),
  ]
  if (first === undefined) throw new Error(`${name} has no address`)
  return [first, ...others]
}

interface Posting extends PostOptions {
  readonly addresses: readonly [Address, ...Address[]]
}

function post(url: URL, type: string, body: Buffer, { addresses, signal, ca }: Posting): Promise<number> {
  const lookup: LookupFunction = (_name, { all }, done) => {
    if (all === true) done(null, [...addresses])
    else done(null, addresses[0].address, addresses[0].family)
  }
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      method: 'POST',
      headers: { 'content-type': type, 'content-length': body.length },
      agent: false,
      lookup,
      minVersion: 'TLSv1.2',
      signal,
      ...(ca === undefined ? {} : { ca }),
    })
    asked.on('response', (response) => {
      response.destroy()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject)
    asked.end(body)
  })
}
