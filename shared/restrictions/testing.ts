import type { LookUp, MxRecord, Resolver } from '../resolver.ts'

/** Records by `a NAME`, `mx NAME`, `txt NAME`, `ptr ADDRESS`; `fails`: nobody knows. A name without records does not exist. */
export type Zone = Readonly<Record<string, readonly string[] | 'fails'>>

/** Answers at once; an MX record is `PRIORITY EXCHANGE`, or its exchange alone (10). `asked` lists the questions. */
export function zoneResolver(zone: Zone): Resolver & { readonly asked: string[] } {
  const asked: string[] = []
  const known = new Set(Object.keys(zone).map((key) => key.split(' ')[1]))
  function ask<T>(type: string, name: string, read: (text: string) => T): Promise<LookUp<T>> {
    asked.push(`${type} ${name}`)
    const records = zone[`${type} ${name.toLowerCase()}`]
    if (records === 'fails') return Promise.resolve({ kind: 'failed', error: new Error('SERVFAIL') })
    if (records === undefined) return Promise.resolve({ kind: 'absent', name: !known.has(name.toLowerCase()) })
    return Promise.resolve({ kind: 'found', records: records.map((record) => read(record)) })
  }
  const text = (record: string): string => record
  const mx = (record: string): MxRecord => {
    const [exchange = '', priority = '10'] = record.split(' ').toReversed()
    return { priority: Number(priority), exchange }
  }
  return {
    asked,
    mx: (name) => ask('mx', name, mx),
    a: (name) => ask('a', name, text),
    aaaa: (name) => ask('aaaa', name, text),
    txt: (name) => ask('txt', name, text),
    ptr: (address) => ask('ptr', address, text),
    close: () => undefined,
  }
}
