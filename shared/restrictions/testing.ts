import type { LookUp, MxRecord, Resolver } from '../resolver.ts'

/** Records by `a NAME`, `mx NAME`, `txt NAME`, `ptr ADDRESS`; `fails`: nobody knows. A name without records does not exist. */
export type Zone = Readonly<Record<string, readonly string[] | 'fails'>>

/** An MX record is written as its exchange; `asked` lists the questions. */
export function zoneResolver(zone: Zone): Resolver & { readonly asked: string[] } {
  const asked: string[] = []
  const known = new Set(Object.keys(zone).map((key) => key.split(' ')[1]))
  function ask<T>(type: string, name: string, read: (text: string) => T): Promise<LookUp<T>> {
    asked.push(`${type} ${name}`)
    const records = zone[`${type} ${name}`]
    if (records === 'fails') return Promise.resolve({ kind: 'failed', error: new Error('SERVFAIL') })
    if (records === undefined) return Promise.resolve({ kind: 'absent', name: !known.has(name) })
    return Promise.resolve({ kind: 'found', records: records.map((record) => read(record)) })
  }
  const text = (record: string): string => record
  return {
    asked,
    mx: (name) => ask<MxRecord>('mx', name, (exchange) => ({ exchange, priority: 10 })),
    a: (name) => ask('a', name, text),
    aaaa: (name) => ask('aaaa', name, text),
    txt: (name) => ask('txt', name, text),
    ptr: (address) => ask('ptr', address, text),
    close: () => undefined,
  }
}
