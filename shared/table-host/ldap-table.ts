import { isIP } from 'node:net'

import { Client, InvalidCredentialsError, NoSuchObjectError, ResultCodeError } from 'ldapts'
import type { Entry } from 'ldapts'

import type { LdapBackend } from '../config/table-backend.ts'
import { askedFor, joined } from './asked-for.ts'
import type { KeyedSource } from './key-table.ts'

/** More entries than one key may have. */
const maxEntries = 1000

/**
 * Entries of a directory: one attribute gives all its values, several give the first value of each, put together by colons. Entries
 * that lack one of them are left out. Questions share one connection, which is bound anew when it was lost.
 */
export function openLdapTable(backend: LdapBackend): KeyedSource {
  let bound: Promise<Client> | undefined
  const ended = new WeakSet<Client>()
  const isUsable = (client: Client | undefined): client is Client => client?.isConnected === true && !ended.has(client)

  /** A client that lost its connection would make a new one by itself, and search there as nobody. */
  async function connected(): Promise<Client> {
    const before = bound
    const known = await before?.catch(() => undefined)
    if (isUsable(known)) return known
    if (bound === before) bound = bind(backend, ended)
    const client = await bound
    if (!isUsable(client)) throw new Error('the directory ended the connection')
    return client
  }

  async function search(filter: string, attributes: readonly string[], mayRepeat: boolean): Promise<readonly Entry[]> {
    const client = await connected()
    try {
      const { base, scope, timeoutMs } = backend
      const timeLimit = Math.ceil(timeoutMs / 1000)
      const options = { scope, filter, attributes: [...attributes], sizeLimit: maxEntries, timeLimit }
      const { searchEntries } = await client.search(base, options)
      return searchEntries
    } catch (error) {
      if (error instanceof NoSuchObjectError) return []
      if (error instanceof ResultCodeError) throw error
      await client.unbind().catch(() => undefined)
      if (!mayRepeat || (error instanceof Error && error.message.includes('timed out'))) throw error
      return search(filter, attributes, false)
    }
  }

  return {
    async lookup(key, service) {
      const { filter, attributes } = askedFor(backend.searches, service, 'filter')
      const text = filter.expand(key, escaped)
      if (text === undefined) return undefined
      const entries = await search(text, attributes, true)
      return joined(entries.flatMap((entry) => rowsOf(entry, attributes)))
    },
    async close() {
      const client = await bound?.catch(() => undefined)
      await client?.unbind().catch(() => undefined)
    },
  }
}

/** @param ended will have the client when its connection is gone */
async function bind({ url, timeoutMs, ca, startTls, bind }: LdapBackend, ended: WeakSet<Client>): Promise<Client> {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const tlsOptions = { host, ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) }
  const secure = url.startsWith('ldaps:') ? { tlsOptions } : {}
  const client = new Client({ url, timeout: timeoutMs, connectTimeout: timeoutMs, ...secure })
  try {
    if (startTls) {
      await client.startTLS(tlsOptions)
      // It does not see by itself that such a connection ended.
      client['socket']?.once('close', () => ended.add(client))
    }
    await client.bind(bind?.dn ?? '', bind?.password ?? '')
    return client
  } catch (error) {
    await client.unbind().catch(() => undefined)
    throw error instanceof InvalidCredentialsError
      ? new Error(`the directory refuses ${bind?.dn ?? 'us'}: ${error.message}`, { cause: error })
      : error
  }
}

/** RFC 4515, section 3. */
function escaped(text: string): string {
  return text.replace(/[\\*()\0]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function rowsOf(entry: Entry, attributes: readonly string[]): readonly (readonly string[])[] {
  const values = attributes.map((attribute) => valuesOf(entry, attribute))
  const [first = []] = values
  if (attributes.length === 1) return first.map((value) => [value])
  const row = values.map(([value]) => value)
  return row.every((value) => value !== undefined) ? [row] : []
}

/** The names of attributes have no case. */
function valuesOf(entry: Entry, attribute: string): readonly string[] {
  const name = Object.keys(entry).find((one) => one.toLowerCase() === attribute.toLowerCase())
  const value = name === undefined ? [] : entry[name]
  const values = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return values.map((one) => one.toString())
}
