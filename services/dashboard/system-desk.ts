import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import type { Audit } from '../../shared/audit.ts'
import { viewCertificates } from '../../shared/certificate-view.ts'
import type { CertificateView } from '../../shared/certificate-view.ts'
import type { Clock } from '../../shared/clock.ts'
import { parseApiToken } from '../../shared/config/api-tokens.ts'
import { isExternal } from '../../shared/config/external-table.ts'
import type { Configuration, Table } from '../../shared/config/model.ts'
import { parseOperator } from '../../shared/config/operators.ts'
import type { Role } from '../../shared/config/operators.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { RedisReport } from '../../shared/queue/check-redis.ts'
import type { SpoolVolume } from '../../shared/spool/volume.ts'
import { storePath } from '../../shared/store/sqlite-store.ts'
import type { StorePlace } from '../../shared/store/store-place.ts'
import type { TokenUses } from './token-uses.ts'

/** What this Sluice stands on. */
export interface SystemView {
  readonly certificates: readonly CertificateView[]
  /** Absent: it does not answer, or said nothing yet. */
  readonly redis?: RedisReport
  readonly spool: SpoolView
  readonly store: { readonly what: string; readonly bytes?: number }
  /** The journal that the store is made of. */
  readonly journal: FolderView
}

export interface SpoolView {
  /** The folder's path, or `s3://bucket/prefix`. */
  readonly name: string
  /** Absent for a bucket: to list it costs. */
  readonly folder?: FolderView
  /** On this host, before new mail is refused. */
  readonly freeBytes: number
  /** Of the disk it lies on, or its cache does. */
  readonly totalBytes: number
  readonly quotaBytes?: number
}

export interface FolderView {
  readonly path: string
  readonly files: number
  readonly bytes: number
  /** When its oldest file was written last; absent: there is none. */
  readonly oldestAt?: number
}

/** Those of the tables in force; `undefined`: the table only answers questions. */
export interface PeopleView {
  readonly users?: readonly UserView[]
  readonly tokens?: readonly TokenView[]
}

export interface UserView {
  readonly name: string
  /** Absent: its entry is neither a hash nor a role and a hash. */
  readonly role?: Role
  readonly signedInAt?: number
}

export interface TokenView {
  readonly name: string
  /** Empty: its entry is none. */
  readonly scopes: readonly string[]
  readonly usedAt?: number
}

export interface SystemDesk {
  /** As it was at most ten seconds ago. */
  look(): Promise<SystemView>
  /** For admins. */
  people(): Promise<PeopleView>
}

export interface SystemDeskParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly tables: Pick<TableSet, 'entries' | 'passwordHash'>
  readonly dataFolder: string
  readonly spool: {
    readonly volume: Pick<SpoolVolume, 'name' | 'folder'>
    freeBytes(): Promise<number>
  }
  redis(): RedisReport | undefined
  readonly storePlace: StorePlace
  readonly audit: Pick<Audit, 'find'>
  readonly tokenUses: Pick<TokenUses, 'all'>
  readonly clock: Clock
}

const keptMs = 10_000
const signInsLookedAt = 2_000

export function createSystemDesk(parts: SystemDeskParts): SystemDesk {
  const { clock, tables, audit, tokenUses } = parts
  let last: { readonly at: number; readonly view: Promise<SystemView> } | undefined

  return {
    look() {
      const nowAt = clock.now()
      if (last === undefined || nowAt - last.at >= keptMs) {
        const view = lookAt(parts)
        last = { at: nowAt, view }
        view.catch(() => {
          last = undefined
        })
      }
      return last.view
    },

    async people() {
      const { operators, tokens } = parts.configuration.pipeline.dashboard
      const signIns = new Map<string, number>()
      for (const { action, outcome, by, at } of await audit.find('sign in', signInsLookedAt))
        if (action === 'sign in' && outcome === 'done' && !signIns.has(by)) signIns.set(by, at)
      const users = listed(operators, tables, (name, value): UserView => {
        const [role, signedInAt] = [parseOperator(value)?.role, signIns.get(name)]
        return { name, ...(role && { role }), ...(signedInAt === undefined ? {} : { signedInAt }) }
      })
      const known = listed(tokens, tables, (name, value): TokenView => {
        const usedAt = tokenUses.all().get(name)
        return {
          name,
          scopes: [...(parseApiToken(value)?.scopes ?? [])],
          ...(usedAt === undefined ? {} : { usedAt }),
        }
      })
      return { ...(users && { users }), ...(known && { tokens: known }) }
    },
  }
}

/** Undefined for a table that cannot be listed; without a table there is nobody. @throws TableError */
function listed<T>(
  table: Table | undefined,
  tables: SystemDeskParts['tables'],
  view: (name: string, value: string) => T,
): readonly T[] | undefined {
  if (table === undefined) return []
  if (isExternal(table)) return undefined
  return tables
    .entries(table)
    .toSorted()
    .map((name) => view(name, tables.passwordHash(table, name) ?? ''))
}

async function lookAt(parts: SystemDeskParts): Promise<SystemView> {
  const { configuration, dataFolder, storePlace } = parts
  const { name, folder } = parts.spool.volume
  const events = join(dataFolder, 'events')
  const [certificates, files, freeBytes, totalBytes, journal, store] = await Promise.all([
    viewCertificates(configuration),
    folder === undefined ? undefined : folderView(folder, () => true),
    parts.spool.freeBytes(),
    diskBytes(folder ?? dataFolder),
    folderView(events, (name) => name.endsWith('.ndjson')),
    storeView(storePlace, events),
  ])
  const redis = parts.redis()
  const quotaBytes = configuration.pipeline.spool?.quotaBytes
  return {
    certificates,
    ...(redis === undefined ? {} : { redis }),
    spool: {
      name,
      ...(files && { folder: files }),
      freeBytes,
      totalBytes,
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
    },
    store,
    journal,
  }
}

async function storeView(place: StorePlace, events: string): Promise<SystemView['store']> {
  if (place.kind === 'postgresql') {
    const host = place.place.kind === 'unix' ? place.place.path : `${place.place.host}:${place.place.port}`
    return { what: `PostgreSQL, database ${place.database} at ${host}` }
  }
  const path = storePath(events)
  const sizes = await Promise.all(['', '-wal', '-shm'].map(async (end) => (await statOf(`${path}${end}`))?.size ?? 0))
  return { what: `SQLite, ${path}`, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** With all folders below it. */
async function folderView(path: string, counts: (name: string) => boolean): Promise<FolderView> {
  const names = (await readdir(path, { recursive: true }).catch(() => [])).filter(counts)
  const stats = await Promise.all(names.map((name) => statOf(join(path, name))))
  const files = stats.filter((one) => one?.isFile() === true)
  const oldestAt = Math.min(...files.map((one) => one?.mtimeMs ?? Infinity))
  return {
    path,
    files: files.length,
    bytes: files.reduce((sum, one) => sum + (one?.size ?? 0), 0),
    ...(Number.isFinite(oldestAt) ? { oldestAt: Math.trunc(oldestAt) } : {}),
  }
}

async function diskBytes(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(path)
  return blocks * bsize
}

function statOf(path: string) {
  return stat(path).catch(() => undefined)
}
