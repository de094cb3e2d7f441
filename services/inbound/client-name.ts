import type { Resolver } from '../../shared/resolver.ts'

const hostName = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/

/**
 * The name of a client by DNS, when the address points to the name and the name back to the address (RFC 8601 §3, iprev).
 * PTR records belong to the owner of the address and can hold anything: only a host name is taken.
 */
export async function verifiedName(resolver: Resolver, address: string): Promise<string | undefined> {
  if (isLoopback(address)) return 'localhost'
  const pointers = await resolver.ptr(address)
  if (pointers.kind !== 'found') return undefined
  for (const pointer of pointers.records.slice(0, 5)) {
    const name = pointer.toLowerCase().replace(/\.$/, '')
    if (!hostName.test(name)) continue
    const forward = address.includes(':') ? await resolver.aaaa(name) : await resolver.a(name)
    if (forward.kind === 'found' && forward.records.some((one) => canonical(one) === canonical(address))) return name
  }
  return undefined
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function canonical(address: string): string {
  return address.includes(':') ? new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname : address
}
