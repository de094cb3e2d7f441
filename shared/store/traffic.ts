import { kindNumber, stateNumber } from './copy-state.ts'
import { firstKeyOf } from './message-key.ts'
import type { Dialect, Rows } from './sql.ts'

/** Who sends most here, and what comes to nothing. */
export interface Traffic {
  /** By domain of the recipient and what the reply was about, the most frequent first. */
  readonly failures: readonly FailureCount[]
  /** By reverse-path, the most frequent first. */
  readonly senders: readonly SenderCount[]
}

export interface FailureCount {
  /** `unknown-user`, `mailbox-full` and so on; absent: no reply said. */
  readonly class?: string
  readonly domain: string
  /** Recipients. */
  readonly copies: number
}

export interface SenderCount {
  readonly sender: string
  readonly messages: number
  readonly sizeBytes: number
}

const mostShown = 20

/** Of messages accepted since then, epoch ms. */
export async function trafficOf(rows: Rows, { domainOf }: Dialect, sinceAt: number): Promise<Traffic> {
  const first = firstKeyOf(sinceAt)
  const failures = (await rows(
    `SELECT (SELECT text FROM names WHERE name = class), ${domainOf('address')} AS domain, count(*) AS number
     FROM copies WHERE state = ${stateNumber('failed')} AND message >= ? AND address IS NOT NULL
     GROUP BY class, domain ORDER BY number DESC, domain LIMIT ${mostShown}`,
    first,
  )) as readonly [string | null, string, number][]
  const senders = (await rows(
    `SELECT lower(sender) AS address, count(*) AS number, CAST(coalesce(sum(size), 0) AS BIGINT) FROM messages
     WHERE message >= ? AND kind = ${kindNumber('received')} AND sender <> ''
     GROUP BY address ORDER BY number DESC, address LIMIT ${mostShown}`,
    first,
  )) as readonly [string, number, number][]
  return {
    failures: failures.map(([about, domain, copies]) => ({
      ...(about === null ? {} : { class: about }),
      domain,
      copies,
    })),
    senders: senders.map(([sender, messages, sizeBytes]) => ({ sender, messages, sizeBytes })),
  }
}
