import type { Table } from './model.ts'

/** Tells tables with the same entries by the same text; each table is looked at once, however many rules name it. */
export function tableKeys(): (table: Table) => string {
  const known = new Map<Table, string>()
  return (table) => {
    const key = known.get(table) ?? keyOf(table)
    known.set(table, key)
    return key
  }
}

function keyOf({ source }: Table): string {
  return JSON.stringify(source.kind === 'inline' ? [source.list, [...(source.map ?? [])]] : source)
}
