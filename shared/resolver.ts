import { Resolver as DnsResolver } from 'node:dns/promises'
import { isDeepStrictEqual } from 'node:util'

import { areAddresses, ServerAddresses } from './dns/server-addresses.ts'
import { dnsTrouble } from './dns/trouble.ts'
import { createValidatingResolver } from './dns/validating-resolver.ts'
import type { Validated } from './dns/validating-resolver.ts'

/** `absent`: the name or the record type does not exist, authoritatively. `failed`: nobody knows now (SERVFAIL, time-out); never treat it as absent. */
export type LookUp<T> =
  | { readonly kind: 'found'; readonly records: readonly T[] }
  | { readonly kind: 'absent'; readonly name: boolean }
  | { readonly kind: 'failed'; readonly error: Error }

export interface MxRecord {
  readonly exchange: string
  readonly priority: number
}

/** DNS look-ups with one cache for the process; equal questions in flight share one answer. */
export interface Resolver {
  mx(name: string): Promise<LookUp<MxRecord>>
  a(name: string): Promise<LookUp<string>>
  aaaa(name: string): Promise<LookUp<string>>
  /** Character strings of one record joined (RFC 7208 §3.3). */
  txt(name: string): Promise<LookUp<string>>
  ptr(address: string): Promise<LookUp<string>>
  close(): void
}

/** The one resolver of a process. */
export interface ProcessResolver extends Resolver {
  /** Asks other servers from now on, and forgets what it knows; questions on their way get the answers of those before. */
  useServers(servers: readonly string[]): void
}

export interface ResolverOptions {
  /** `address`, `name` or either with `:port`; empty: the system's. */
  readonly servers: readonly string[]
  readonly timeoutMs?: number
  readonly tries?: number
  readonly foundForMs?: number
  readonly absentForMs?: number
  readonly maxEntries?: number
}

interface Entry {
  readonly answer: Promise<LookUp<unknown>>
  expiresAt: number
}

/** Codes of c-ares that mean "there is no such record". */
const absentCodes = new Set(['ENODATA', 'ENOTFOUND', 'ENONAME'])

export function createResolver(options: ResolverOptions): ProcessResolver {
  const { timeoutMs = 5_000, tries = 2, foundForMs = 300_000, absentForMs = 60_000, maxEntries = 50_000 } = options
  let { servers } = options
  let named: ServerAddresses | undefined
  let dns = open()
  /** For names with characters that c-ares asks nobody about, as macros of SPF make them: `jane+list.example.org`. */
  const odd = createValidatingResolver({ timeoutMs })
  const cache = new Map<string, Entry>()
  const followed = new WeakMap<DnsResolver, readonly string[]>()

  function open(): DnsResolver {
    const opened = new DnsResolver({ timeout: timeoutMs, tries })
    named = areAddresses(servers) ? undefined : new ServerAddresses(servers)
    if (servers.length > 0 && named === undefined) opened.setServers([...servers])
    return opened
  }

  /** Who is asked; servers that are told by name are where their names are now. */
  function current(): DnsResolver | Promise<DnsResolver> {
    return named === undefined ? dns : following(named, dns)
  }

  async function following(servers: ServerAddresses, opened: DnsResolver): Promise<DnsResolver> {
    const addresses = await servers.current()
    // Questions on their way would be cancelled.
    if (!isDeepStrictEqual(addresses, followed.get(opened))) {
      const moved = followed.has(opened) ? new DnsResolver({ timeout: timeoutMs, tries }) : opened
      moved.setServers([...addresses])
      followed.set(moved, addresses)
      if (dns === opened) dns = moved
      return moved
    }
    return opened
  }

  function cached<T>(key: string, ask: () => Promise<LookUp<T>>): Promise<LookUp<T>> {
    const known = cache.get(key)
    if (known !== undefined && known.expiresAt > Date.now()) return known.answer as Promise<LookUp<T>>
    const answer = ask()
    const entry: Entry = { answer, expiresAt: Number.POSITIVE_INFINITY }
    cache.delete(key)
    cache.set(key, entry)
    if (cache.size > maxEntries) forgetOldest(cache)
    void answer.then((result) => {
      entry.expiresAt = result.kind === 'failed' ? 0 : Date.now() + (result.kind === 'found' ? foundForMs : absentForMs)
    })
    return answer
  }

  function byName<T>(
    type: string,
    name: string,
    ask: () => Promise<readonly T[]>,
    askOdd: () => Promise<Validated<T>>,
  ): Promise<LookUp<T>> {
    return cached(`${type} ${name}`, async () => {
      const answer = await lookUp(ask)
      if (answer !== 'refused') return answer
      if (!isPossible(name)) return { kind: 'absent', name: true }
      odd.useServers(dns.getServers())
      return unvalidated(await askOdd())
    })
  }

  const texts = async (name: string): Promise<readonly string[]> =>
    (await (await current()).resolveTxt(name)).map((strings) => strings.join(''))

  return {
    mx: (name) =>
      byName(
        'mx',
        name,
        async () => (await current()).resolveMx(name),
        () => odd.mx(name),
      ),
    a: (name) =>
      byName(
        'a',
        name,
        async () => (await current()).resolve4(name),
        () => odd.a(name),
      ),
    aaaa: (name) =>
      byName(
        'aaaa',
        name,
        async () => (await current()).resolve6(name),
        () => odd.aaaa(name),
      ),
    txt: (name) =>
      byName(
        'txt',
        name,
        () => texts(name),
        () => odd.txt(name),
      ),
    ptr: (address) =>
      cached(`ptr ${address}`, async () => {
        const answer = await lookUp(async () => (await current()).reverse(address))
        return answer === 'refused' ? { kind: 'absent', name: true } : answer
      }),
    useServers(next) {
      if (isDeepStrictEqual(next, servers)) return
      servers = next
      dns = open()
      cache.clear()
    },
    close() {
      dns.cancel()
      odd.close()
    },
  }
}

/** `refused`: c-ares does not ask about such a name. */
async function lookUp<T>(ask: () => Promise<readonly T[]>): Promise<LookUp<T> | 'refused'> {
  try {
    const records = await ask()
    return records.length > 0 ? { kind: 'found', records } : { kind: 'absent', name: false }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EBADNAME') return 'refused'
    if (absentCodes.has(code)) return { kind: 'absent', name: code !== 'ENODATA' }
    return { kind: 'failed', error: dnsTrouble(error as NodeJS.ErrnoException) }
  }
}

function unvalidated<T>(answer: Validated<T>): LookUp<T> {
  switch (answer.kind) {
    case 'found':
      return { kind: 'found', records: answer.records }
    case 'absent':
      return { kind: 'absent', name: answer.name }
    case 'failed':
      return { kind: 'failed', error: answer.error }
  }
}

/** Whatever stands in them, labels have 1 to 63 octets and a name 253 at most (RFC 1035 §2.3.4): others do not exist. */
function isPossible(name: string): boolean {
  return name.length <= 253 && /^[^.]{1,63}(?:\.[^.]{1,63})*\.?$/s.test(name)
}

function forgetOldest(cache: Map<string, Entry>): void {
  for (const key of cache.keys()) {
    cache.delete(key)
    return
  }
}
