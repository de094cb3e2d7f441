import { Resolver as DnsResolver } from 'node:dns/promises'
import { isDeepStrictEqual } from 'node:util'

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
  /** `address` or `address:port`; empty: the system's. */
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
  let dns = open()
  const cache = new Map<string, Entry>()

  function open(): DnsResolver {
    const opened = new DnsResolver({ timeout: timeoutMs, tries })
    if (servers.length > 0) opened.setServers([...servers])
    return opened
  }

  function cached<T>(key: string, ask: () => Promise<readonly T[]>): Promise<LookUp<T>> {
    const known = cache.get(key)
    if (known !== undefined && known.expiresAt > Date.now()) return known.answer as Promise<LookUp<T>>
    const answer = lookUp(ask)
    const entry: Entry = { answer, expiresAt: Number.POSITIVE_INFINITY }
    cache.delete(key)
    cache.set(key, entry)
    if (cache.size > maxEntries) forgetOldest(cache)
    void answer.then((result) => {
      entry.expiresAt = result.kind === 'failed' ? 0 : Date.now() + (result.kind === 'found' ? foundForMs : absentForMs)
    })
    return answer
  }

  return {
    mx: (name) => cached(`mx ${name}`, () => dns.resolveMx(name)),
    a: (name) => cached(`a ${name}`, () => dns.resolve4(name)),
    aaaa: (name) => cached(`aaaa ${name}`, () => dns.resolve6(name)),
    txt: (name) => cached(`txt ${name}`, async () => (await dns.resolveTxt(name)).map((strings) => strings.join(''))),
    ptr: (address) => cached(`ptr ${address}`, () => dns.reverse(address)),
    useServers(next) {
      if (isDeepStrictEqual(next, servers)) return
      servers = next
      dns = open()
      cache.clear()
    },
    close: () => dns.cancel(),
  }
}

async function lookUp<T>(ask: () => Promise<readonly T[]>): Promise<LookUp<T>> {
  try {
    const records = await ask()
    return records.length > 0 ? { kind: 'found', records } : { kind: 'absent', name: false }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (absentCodes.has(code)) return { kind: 'absent', name: code !== 'ENODATA' }
    return { kind: 'failed', error: error as Error }
  }
}

function forgetOldest(cache: Map<string, Entry>): void {
  for (const key of cache.keys()) {
    cache.delete(key)
    return
  }
}
