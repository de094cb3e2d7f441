import type { ExternalTable, TableService } from '../config/external-table.ts'

/** What a table that only knows keys is made of. */
export interface KeyedSource {
  /** `undefined`: the key is not there. Rejects when nobody can tell. */
  lookup(key: string, service: TableService): Promise<string | undefined>
  /** Its entries by turns; absent: it has no list. */
  fetch?(service: TableService): Promise<string | undefined>
  close(): Promise<void>
}

/** A table that answers `check` by looking up, and has nothing to read again. The empty key is in no table. */
export function keyTable(source: KeyedSource): ExternalTable {
  const lookup = async (service: TableService, key: string) => ({
    value: key === '' ? undefined : await source.lookup(key, service),
  })
  return {
    lookup,
    check: lookup,
    async fetch(service) {
      if (source.fetch === undefined) throw new Error('it has no list of its entries')
      return { value: await source.fetch(service) }
    },
    update: () => Promise.resolve(),
    close: () => source.close(),
  }
}
