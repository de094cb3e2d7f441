import { kindNumber, stateNumber } from './copy-state.ts'
import { firstKeyOf } from './message-key.ts'
import type { Dialect, Rows } from './sql.ts'
import { usersOf } from './users.ts'
import type { UserCount } from './users.ts'

/** Who sends most here, and what comes to nothing. */
export interface Traffic {
  /** By domain of the recipient and what the reply was about, the most frequent first. */
  readonly failures: readonly FailureCount[]
  /** By the host that said no and what its reply was about, the most frequent first. */
  readonly hosts: readonly HostFailures[]
  /** By reverse-path, the most frequent first. */
  readonly senders: readonly SenderCount[]
  /** By who signed in, with the most recipients first. */
  readonly users: readonly UserCount[]
}

export interface FailureCount {
  /** `unknown-user`, `mailbox-full` and so on; absent: no reply said. */
  readonly class?: string
  readonly domain: string
  /** Recipients. */
  readonly copies: number
}

export interface HostFailures {
  /** Absent: it was refused here, or nobody could be asked. */
  readonly host?: string
  readonly class?: string
  /** Recipients. */
  readonly copies: number
}

/** A domain that mail went to, ours as well. */
export interface RecipientDomain {
  readonly domain: string
  /** Recipients. */
  readonly copies: number
  /** Of them, those that failed. */
  readonly failed: number
}

export interface SenderCount {
  readonly sender: string
  readonly messages: number
  readonly sizeBytes: number
}

const mostShown = 20

/** Of messages accepted since then, epoch ms. */
export async function trafficOf(rows: Rows, dialect: Dialect, sinceAt: number): Promise<Traffic> {
  const { domainOf, positionOf } = dialect
  const first = firstKeyOf(sinceAt)
  const failures = (await rows(
    `SELECT (SELECT text FROM names WHERE name = class), ${domainOf('address')} AS domain, count(*) AS number
     FROM copies WHERE state = ${stateNumber('failed')} AND message >= ? AND address IS NOT NULL
     GROUP BY class, domain ORDER BY number DESC, domain LIMIT ${mostShown}`,
    first,
  )) as readonly [string | null, string, number][]
  const bracket = positionOf('remote', '[')
  const hosts = (await rows(
    `SELECT CASE WHEN ${bracket} > 1 THEN lower(substr(remote, 1, ${bracket} - 1)) END AS refuser,
            (SELECT text FROM names WHERE name = class), count(*) AS number
     FROM copies WHERE state = ${stateNumber('failed')} AND message >= ? AND address IS NOT NULL
     GROUP BY refuser, class ORDER BY number DESC, refuser LIMIT ${mostShown}`,
    first,
  )) as readonly [string | null, string | null, number][]
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
    hosts: byHost(hosts),
    senders: senders.map(([sender, messages, sizeBytes]) => ({ sender, messages, sizeBytes })),
    users: await usersOf(rows, dialect, sinceAt),
  }
}

/** What we said ourselves may have a bracket, too: then there is no host before it. */
function byHost(rows: readonly (readonly [string | null, string | null, number])[]): readonly HostFailures[] {
  const found = new Map<string, HostFailures>()
  for (const [refuser, about, copies] of rows) {
    const host = refuser === null || /\s/.test(refuser) ? {} : { host: refuser }
    const key = JSON.stringify([host, about])
    const before = found.get(key)?.copies ?? 0
    found.set(key, { ...host, ...(about === null ? {} : { class: about }), copies: before + copies })
  }
  return [...found.values()].toSorted((one, other) => other.copies - one.copies)
}

/** Of messages accepted since then, epoch ms; the most frequent first. All copies are gone through: it takes longer than the rest. */
export async function recipientDomainsOf(
  rows: Rows,
  { domainOf }: Dialect,
  sinceAt: number,
): Promise<readonly RecipientDomain[]> {
  const failed = `CASE WHEN state = ${stateNumber('failed')} THEN 1 ELSE 0 END`
  const found = (await rows(
    `SELECT ${domainOf('address')} AS domain, count(*) AS number, CAST(sum(${failed}) AS BIGINT)
     FROM copies WHERE message >= ? AND address IS NOT NULL AND state <> ${stateNumber('refused')}
     GROUP BY domain ORDER BY number DESC, domain LIMIT ${mostShown}`,
    firstKeyOf(sinceAt),
  )) as readonly [string, number, number][]
  return found.map(([domain, copies, failures]) => ({ domain, copies, failed: failures }))
}
