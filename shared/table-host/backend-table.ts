import type { ExternalTable } from '../config/external-table.ts'
import { readTableFile } from '../config/read-file.ts'
import { readBackend } from '../config/table-backend.ts'
import type { BackendKind, TableBackend } from '../config/table-backend.ts'
import { TableFormatError } from '../config/table-file.ts'
import { withTimeLimit } from '../deadline.ts'
import { httpSource } from './http-table.ts'
import type { KeyedSource } from './key-table.ts'
import { keyTable } from './key-table.ts'

interface Opened {
  /** What was read, to tell whether it has changed. */
  readonly texts: string
  readonly timeoutMs: number
  readonly source: KeyedSource
}

/**
 * A table whose server or database has a file of settings. It is opened at the first question, and again when `update` finds other
 * settings; what was begun with the old ones ends first. Every question has the time its settings give.
 */
export function openBackendTable(kind: BackendKind, path: string): ExternalTable {
  let opened: Promise<Opened> | undefined
  let closed = false

  function current(): Promise<Opened> {
    if (closed) return Promise.reject(new Error('it is closed'))
    opened ??= open(kind, path).catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }

  async function asking<Answer>(ask: (source: KeyedSource) => Promise<Answer>): Promise<Answer> {
    const { source, timeoutMs } = await current()
    return withTimeLimit(timeoutMs, 'no answer', ask(source))
  }

  const table = keyTable({
    lookup: (key, service) => asking((source) => source.lookup(key, service)),
    fetch: (service) =>
      asking(async (source) => {
        if (source.fetch === undefined) throw new Error('it has no list of its entries')
        return source.fetch(service)
      }),
    async close() {
      closed = true
      await (await opened?.catch(() => undefined))?.source.close()
    },
  })
  return {
    ...table,
    async update() {
      const before = await opened?.catch(() => undefined)
      if (before === undefined || before.texts === settingsOf(kind, path).texts) return
      opened = undefined
      await before.source.close()
    },
  }
}

interface Settings {
  readonly backend: TableBackend
  /** Of the settings and the files they name. */
  readonly texts: string
}

function settingsOf(kind: BackendKind, path: string): Settings {
  const texts: string[] = []
  const read = (file: string): string => {
    const text = readTableFile(file)
    texts.push(text)
    return text
  }
  try {
    const backend = readBackend(kind, path, read)
    return { backend, texts: texts.join('\0') }
  } catch (error) {
    if (error instanceof TableFormatError)
      throw new Error(`${path}, line ${error.line}: ${error.message}`, { cause: error })
    throw error
  }
}

async function open(kind: BackendKind, path: string): Promise<Opened> {
  const { backend, texts } = settingsOf(kind, path)
  return { texts, timeoutMs: backend.timeoutMs, source: await sourceOf(backend) }
}

/** The client of a database is loaded when there is a table of it. */
async function sourceOf(backend: TableBackend): Promise<KeyedSource> {
  switch (backend.kind) {
    case 'http':
      return httpSource(backend)
    case 'redis': {
      const { openRedisTable } = await import('./redis-table.ts')
      return openRedisTable(backend)
    }
    case 'ldap': {
      const { openLdapTable } = await import('./ldap-table.ts')
      return openLdapTable(backend)
    }
    case 'mysql': {
      const [{ sqlTable }, { openMysql }] = await Promise.all([import('./sql-table.ts'), import('./mysql.ts')])
      return sqlTable(backend, openMysql(backend))
    }
    case 'postgres': {
      const [{ sqlTable }, { openPostgres }] = await Promise.all([import('./sql-table.ts'), import('./postgres.ts')])
      return sqlTable(backend, openPostgres(backend))
    }
    case 'sqlite': {
      const [{ sqlTable }, { openSqlite }] = await Promise.all([import('./sql-table.ts'), import('./sqlite.ts')])
      return sqlTable(backend, openSqlite(backend))
    }
  }
}
