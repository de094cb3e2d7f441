import { request as requestInClear } from 'node:http'
import { request } from 'node:https'
import type { LookupFunction } from 'node:net'

import type { Resolver } from './resolver.ts'

export interface Posting {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly signal: AbortSignal
  /** PEM: trusted roots instead of those that come with Node. */
  readonly ca?: string
  /** Absent: as the system finds hosts. */
  readonly lookup?: LookupFunction
}

/**
 * One POST on a connection of its own; redirects are not followed, what is answered is not read.
 * @returns the status code
 */
export function post({ url, headers, body, signal, ca, lookup }: Posting): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-length': body.length },
      agent: false,
      signal,
      ...(lookup === undefined ? {} : { lookup }),
    }
    const tls = { minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }) }
    const asked = url.protocol === 'http:' ? requestInClear(url, options) : request(url, { ...options, ...tls })
    asked.on('response', (response) => {
      response.destroy()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** Names are asked of the same servers as all others. @throws Error when it has no address */
export async function lookupBy(resolver: Pick<Resolver, 'a' | 'aaaa'>, name: string): Promise<LookupFunction> {
  const [six, four] = await Promise.all([resolver.aaaa(name), resolver.a(name)])
  const addresses: readonly Address[] = [
    ...(six.kind === 'found' ? six.records.map((address) => ({ address, family: 6 as const })) : []),
    ...(four.kind === 'found' ? four.records.map((address) => ({ address, family: 4 as const })) : []),
  ]
  const [first] = addresses
  if (first === undefined) throw new Error(`${name} has no address`)
  return (_name, { all }, done) => {
    if (all === true) done(null, [...addresses])
    else done(null, first.address, first.family)
  }
}
