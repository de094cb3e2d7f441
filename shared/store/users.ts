import { kindNumber, stateNumber } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import { firstKeyOf } from './message-key.ts'
import type { Dialect, Rows } from './sql.ts'

/** Who signed in and sent: a stolen password is seen here first. */
export interface UserCount {
  readonly user: string
  readonly messages: number
  /** Recipients; of them, those that failed, and those that are held. */
  readonly copies: number
  readonly failed: number
  readonly held: number
}

const mostShown = 20

/** Of messages accepted since then, epoch ms; the one with the most recipients first. */
export async function usersOf(rows: Rows, { join }: Dialect, sinceAt: number): Promise<readonly UserCount[]> {
  const sum = (state: CopyState): string =>
    `CAST(sum(CASE WHEN c.state = ${stateNumber(state)} THEN 1 ELSE 0 END) AS BIGINT)`
  const found = (await rows(
    `SELECT lower(m."user") AS login, count(DISTINCT m.message), count(*) AS number, ${sum('failed')}, ${sum('held')}
     FROM messages m ${join} copies c ON c.message = m.message
     WHERE m.message >= ? AND m.kind = ${kindNumber('received')} AND m."user" IS NOT NULL
       AND c.state <> ${stateNumber('refused')}
     GROUP BY login ORDER BY number DESC, login LIMIT ${mostShown}`,
    firstKeyOf(sinceAt),
  )) as readonly [string, number, number, number, number][]
  return found.map(([user, messages, copies, failed, held]) => ({ user, messages, copies, failed, held }))
}
