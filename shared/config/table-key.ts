import type { Table } from './model.ts'

/** Tells tables with the same entries by the same short text; each is looked at once, however many rules name it. */
export function tableKeys(): (table: Table) => string {
  const known = new Map<Table, string>()
  const byEntries = new Map<string, string>()
  return (table) => {
    const key = known.get(table) ?? shortKey(entriesOf(table), byEntries)
    known.set(table, key)
    return key
  }
}

function shortKey(entries: string, byEntries: Map<string, string>): string {
  const key = byEntries.get(entries) ?? `table ${byEntries.size}`
  byEntries.set(entries, key)
  return key
}

function entriesOf({ source }: Table): string {
  return JSON.stringify(source.kind === 'inline' ? [source.list, [...(source.map ?? [])]] : source)
}
