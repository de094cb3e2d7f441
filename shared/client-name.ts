import type { Resolver } from './resolver.ts'

/** What DNS says about a client. */
export interface ClientName {
  /** The name its address points to; verified only when `forward` says so. */
  readonly name?: string
  /** The name points back to the address; `error`: DNS could not tell now. */
  readonly forward: 'pass' | 'fail' | 'error'
}

const hostName = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/

/**
 * The name of a client by DNS; `pass` when the address points to the name and the name back to the address (RFC 8601 §3,
 * iprev). PTR records belong to the owner of the address and can hold anything: only a host name is taken.
 */
export async function findClientName(resolver: Resolver, address: string): Promise<ClientName> {
  if (isLoopback(address)) return { name: 'localhost', forward: 'pass' }
  const pointers = await resolver.ptr(address)
  if (pointers.kind !== 'found') return { forward: pointers.kind === 'failed' ? 'error' : 'fail' }
  const names = pointers.records.slice(0, 5).map((pointer) => pointer.toLowerCase().replace(/\.$/, ''))
  let unverified: ClientName = { forward: 'fail' }
  for (const name of names.filter((one) => hostName.test(one))) {
    const found = address.includes(':') ? await resolver.aaaa(name) : await resolver.a(name)
    if (found.kind === 'found' && found.records.some((one) => canonical(one) === canonical(address)))
      return { name, forward: 'pass' }
    const unknown = found.kind === 'failed' || unverified.forward === 'error'
    unverified = { name: unverified.name ?? name, forward: unknown ? 'error' : 'fail' }
  }
  return unverified
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function canonical(address: string): string {
  return address.includes(':') ? new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname : address
}
