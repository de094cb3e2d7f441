import { setMaxListeners } from 'node:events'

import { withDeadline } from '../deadline.ts'
import { asciiDomain } from '../mail/ascii-domain.ts'
import type { LookUp, MxRecord } from '../resolver.ts'
import { dnsPlace, exchange } from './exchange.ts'
import { joinTexts, readName, recordTypes } from './message.ts'
import type { DnsAnswer, DnsRecord, RecordType } from './message.ts'
import { parseTlsa } from './tlsa.ts'
import type { TlsaRecord } from './tlsa.ts'
import { codeTrouble } from './trouble.ts'

/** A look-up, and whether the server has checked the signatures of all of its answer; `failed` is also what does not pass the check. */
export type Validated<T> = LookUp<T> & {
  readonly authenticated: boolean
  /** `found`: where the records stand, behind all aliases (CNAME). */
  readonly owner?: string
}

/** Look-ups at servers that check signatures (DNSSEC) and are reached by a way that is trusted (RFC 6698 §A.3). */
export interface ValidatingResolver {
  mx(name: string): Promise<Validated<MxRecord>>
  a(name: string): Promise<Validated<string>>
  aaaa(name: string): Promise<Validated<string>>
  txt(name: string): Promise<Validated<string>>
  tlsa(name: string): Promise<Validated<TlsaRecord>>
  /** Asks other servers from now on, and forgets what it knows when they are others. */
  useServers(servers: readonly string[]): void
  close(): void
}

export interface ValidatingOptions {
  readonly timeoutMs?: number
  /** Epoch ms. */
  readonly now?: () => number
}

interface Entry {
  readonly answer: Promise<Validated<unknown>>
  expiresAt: number
}

/** Also with a TTL of 0 the parts of one decision rest on one answer. */
const shortestMs = 5_000
const longestMs = 300_000
const absentForMs = 60_000
const maxEntries = 20_000
const tries = 2

export function createValidatingResolver(options: ValidatingOptions = {}): ValidatingResolver {
  const { timeoutMs = 5_000, now = Date.now } = options
  const cache = new Map<string, Entry>()
  const stopped = new AbortController()
  // Each question on its way listens.
  setMaxListeners(0, stopped.signal)
  let servers: readonly string[] = []

  async function ask(name: string, type: RecordType): Promise<DnsAnswer> {
    let trouble: unknown = new Error('no validating resolver is configured')
    for (let round = 0; round < tries; round++) {
      for (const server of servers) {
        try {
          return await withDeadline(stopped.signal, timeoutMs, (signal) =>
            exchange(dnsPlace(server), name, type, signal),
          )
        } catch (error) {
          trouble = error
          if (stopped.signal.aborted) throw error
        }
      }
    }
    throw trouble
  }

  function cached<T>(name: string, type: RecordType, read: Read<T>): Promise<Validated<T>> {
    const asked = asciiDomain(name) ?? name
    const key = `${type} ${asked}`
    const known = cache.get(key)
    if (known !== undefined && known.expiresAt > now()) return known.answer as Promise<Validated<T>>
    const answer = lookUp(() => ask(asked, type), type, read)
    const entry: Entry = { answer: answer.then(({ found }) => found), expiresAt: Number.POSITIVE_INFINITY }
    cache.delete(key)
    cache.set(key, entry)
    const [oldest] = cache.keys()
    if (cache.size > maxEntries && oldest !== undefined) cache.delete(oldest)
    void answer.then(({ keepMs }) => {
      entry.expiresAt = now() + keepMs
    })
    return entry.answer as Promise<Validated<T>>
  }

  return {
    mx: (name) => cached(name, 'MX', readMx),
    a: (name) => cached(name, 'A', ({ data }) => (data.length === 4 ? data.join('.') : undefined)),
    aaaa: (name) => cached(name, 'AAAA', ({ data }) => (data.length === 16 ? groups(data) : undefined)),
    txt: (name) => cached(name, 'TXT', ({ data }) => joinTexts(data)),
    tlsa: (name) => cached(name, 'TLSA', ({ data }) => parseTlsa(data)),
    useServers(next) {
      if (next.join() === servers.join()) return
      servers = next
      cache.clear()
    },
    close: () => stopped.abort(),
  }
}

/** One record's data; undefined when it is not valid. */
type Read<T> = (record: DnsRecord, message: Buffer) => T | undefined

interface Found<T> {
  readonly found: Validated<T>
  readonly keepMs: number
}

async function lookUp<T>(ask: () => Promise<DnsAnswer>, type: RecordType, read: Read<T>): Promise<Found<T>> {
  let answer: DnsAnswer
  try {
    answer = await ask()
  } catch (error) {
    return { found: { kind: 'failed', error: error as Error, authenticated: false }, keepMs: 0 }
  }
  const { authenticated, code } = answer
  if (code !== 0 && code !== 3) {
    return { found: { kind: 'failed', error: codeTrouble(code), authenticated: false }, keepMs: 0 }
  }
  const ours = answer.records.filter((record) => record.type === recordTypes[type])
  if (code === 3 || ours.length === 0)
    return { found: { kind: 'absent', name: code === 3, authenticated }, keepMs: absentForMs }
  const records = ours.map((record) => read(record, answer.message)).filter((record) => record !== undefined)
  if (records.length === 0) {
    const error = new Error('the DNS server answered with records that are not valid')
    return { found: { kind: 'failed', error, authenticated: false }, keepMs: 0 }
  }
  const ttlMs = Math.min(...answer.records.map((record) => record.ttlSeconds * 1000))
  const owner = ours[0]?.owner ?? ''
  return {
    found: { kind: 'found', records, authenticated, owner },
    keepMs: Math.max(shortestMs, Math.min(ttlMs, longestMs)),
  }
}

function readMx({ at, data }: DnsRecord, message: Buffer): MxRecord | undefined {
  try {
    return { priority: data.readUInt16BE(0), exchange: readName(message, at + 2).name }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function groups(data: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => data.readUInt16BE(index * 2).toString(16)).join(':')
}
