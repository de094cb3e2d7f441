import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'

import { openForReading } from '../../shared/store/database.ts'
import { storePath } from '../../shared/store/sqlite-store.ts'
import type { EventDatabase } from '../support/event-database.ts'

/** Octets of a store, and of its tables and indexes, the largest first. */
export interface StoreSizes {
  readonly octets: number
  readonly parts: readonly (readonly [name: string, octets: number])[]
}

export async function sqliteSizes(folder: string): Promise<StoreSizes> {
  const database = openForReading(storePath(folder))
  try {
    const sizes = database.prepare('SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC').raw().all()
    return { octets: (await stat(storePath(folder))).size, parts: sizes as [string, number][] }
  } finally {
    database.close()
  }
}

export async function postgresSizes({ ask }: EventDatabase): Promise<StoreSizes> {
  await ask('ANALYZE')
  const rows = await ask(
    `SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relnamespace = 'sluice'::regnamespace ORDER BY 2 DESC`,
  )
  const parts = rows.map(([name, octets]) => [String(name), Number(octets)] as const)
  return { octets: parts.reduce((sum, [, octets]) => sum + octets, 0), parts }
}

const tickMs = 10

/** CPU time of the server's processes that work for the store, ms; what it does by itself (autovacuum, checkpoints) is not in it. */
export async function postgresLoad({ ask }: EventDatabase): Promise<number> {
  const rows = await ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'")
  const used = rows.flatMap(([pid]) => statOf(Number(pid)).slice(usedFrom, usedFrom + 2))
  return used.reduce((sum, ticks) => sum + Number(ticks), 0) * tickMs
}

/** User and system time in /proc/PID/stat, counted from behind the program's name. */
const usedFrom = 11

function statOf(pid: number): readonly string[] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return line.slice(line.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
