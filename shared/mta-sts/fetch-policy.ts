import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'

import { withDeadline } from '../deadline.ts'
import type { Resolver } from '../resolver.ts'

export interface FetchOptions {
  readonly resolver: Pick<Resolver, 'a' | 'aaaa'>
  /** Of policy hosts; 443 but in tests. */
  readonly port: number
  readonly signal: AbortSignal
  /** PEM: trusted roots instead of the system's. */
  readonly ca?: string
}

/** RFC 8461 §3.3 advises a limit of a minute for time, §3.2 one of 64 KB for size. */
const timeoutMs = 60_000
const addressTimeoutMs = 20_000
const maxBytes = 65_536
const maxAddresses = 4

/**
 * Fetches the text of a domain's policy from `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: the certificate must be that host's, and
 * only a 200 of type text/plain counts, no redirect (RFC 8461 §3.3).
 * @throws Error that says why there is none
 */
export async function fetchPolicyText(domain: string, options: FetchOptions): Promise<string> {
  const host = `mta-sts.${domain}`
  return withDeadline(options.signal, timeoutMs, (signal) => fromAny(host, options, signal))
}

async function fromAny(host: string, options: FetchOptions, signal: AbortSignal): Promise<string> {
  let trouble: unknown = new Error(`${host} has no address`)
  for (const address of await addressesOf(host, options.resolver)) {
    signal.throwIfAborted()
    try {
      return await withDeadline(signal, addressTimeoutMs, async (limited) =>
        textOf(await ask(host, address, options, limited)),
      )
    } catch (error) {
      trouble = error
      // What the host answered holds for all of its addresses.
      if (error instanceof UnfitAnswer) break
    }
  }
  throw trouble
}

class UnfitAnswer extends Error {
  override readonly name = 'UnfitAnswer'
}

async function addressesOf(host: string, resolver: FetchOptions['resolver']): Promise<readonly string[]> {
  const answers = await Promise.all([resolver.aaaa(host), resolver.a(host)])
  const [six = [], four = []] = answers.map((answer) => (answer.kind === 'found' ? answer.records : []))
  // Both families have their chance.
  return [...six.slice(0, maxAddresses / 2), ...four.slice(0, maxAddresses / 2)]
}

function ask(host: string, address: string, options: FetchOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const { port, ca } = options
  return new Promise((resolve, reject) => {
    const asked = request({
      host: address,
      port,
      servername: host,
      path: '/.well-known/mta-sts.txt',
      headers: { host: port === 443 ? host : `${host}:${port}`, accept: 'text/plain' },
      agent: false,
      minVersion: 'TLSv1.2',
      signal,
      ...(ca === undefined ? {} : { ca }),
    })
    asked.on('response', resolve).on('error', reject).end()
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  const { statusCode, headers } = response
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  try {
    if (statusCode !== 200) throw new UnfitAnswer(`the policy host answered ${statusCode ?? 'nothing'}`)
    if (type !== 'text/plain') throw new UnfitAnswer(`the policy is of type ${type || 'unknown'}, not text/plain`)
    const chunks: Buffer[] = []
    let sizeBytes = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) throw new UnfitAnswer(`the policy is longer than ${maxBytes} octets`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, sizeBytes).toString('utf8')
  } finally {
    response.destroy()
  }
}
