import { timeOf } from '../message-key.ts'
import type { Session } from './connection.ts'

/** Pages of 8 KB that are looked at of a table. */
const samplePages = 1_000
/** So much more than must be is to go, that it need not be asked for again at once. */
const margin = 0.02

/**
 * Messages before that time must go, so that the rows take no more than so much; absent: they do not. What is deleted stays in the
 * files of the server and is used again: the rows themselves are weighed, by a sample, and not the files.
 */
export async function tooOldIn(session: Session, mostBytes: number): Promise<number | undefined> {
  let octets = 0
  for (const table of ['messages', 'copies', 'lines']) octets += await liveBytes(session, table)
  if (octets <= mostBytes) return undefined
  const [[count] = [0]] = (await session.run('SELECT count(*) FROM messages')) as readonly (readonly [number])[]
  const goes = Math.min(count - 1, Math.ceil(count * (1 - mostBytes / octets + margin)))
  const [row] = (await session.run('SELECT message FROM messages ORDER BY message OFFSET $1 LIMIT 1', [
    goes,
  ])) as readonly (readonly [number])[]
  return row === undefined ? undefined : timeOf(row[0])
}

/** Of the rows, and their share of the indexes. */
async function liveBytes({ run }: Session, table: string): Promise<number> {
  const [[heap, total] = [0, 0]] = (await run(
    'SELECT pg_relation_size($1::regclass), pg_total_relation_size($1::regclass)',
    [table],
  )) as readonly (readonly [number, number])[]
  const pages = heap / 8_192
  if (pages === 0) return 0
  const percent = Math.min(100, (100 * samplePages) / pages)
  const [[sampled] = [0]] = (await run(
    `SELECT CAST(coalesce(sum(pg_column_size(t) + 8), 0) AS BIGINT) FROM ${table} AS t TABLESAMPLE SYSTEM (${percent})`,
  )) as readonly (readonly [number])[]
  return sampled * (100 / percent) * (total / heap)
}
