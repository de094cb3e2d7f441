import type { Configuration } from '../../shared/config/model.ts'
import type { FoundServer } from '../../shared/store/postgres/look.ts'
import { readStorePlace } from '../../shared/store/read-place.ts'
import type { Finding } from './finding.ts'

/** Of the message store, when it is a server: one beside the journal is made anew whenever it must be. */
export async function storeFinding(configuration: Configuration): Promise<readonly Finding[]> {
  const about = 'message store'
  try {
    const place = await readStorePlace(configuration)
    if (place.kind === 'sqlite') return []
    // The client of PostgreSQL is loaded by those who use it.
    const { lookAtPostgres } = await import('../../shared/store/postgres/look.ts')
    return [{ about, ...judge(await lookAtPostgres(place)) }]
  } catch (error) {
    const text = (error as Error).message
    // Mail flows without it, and a ledger catches up; but a refusal does not go away by itself.
    if (wasRefused(error)) return [{ about, verdict: 'bad', text }]
    return [{ about, verdict: 'look', text: `${text}: mail flows, searches wait until it answers` }]
  }
}

function judge(found: FoundServer): Omit<Finding, 'about'> {
  const { version, encoding, isReadOnly, stepsDone, stepsKnown, lacks } = found
  const faults = [
    ...(encoding === 'UTF8' ? [] : [`its encoding is ${encoding}: CREATE DATABASE ... ENCODING 'UTF8'`]),
    ...(isReadOnly ? ['it takes no writes: name the server that does'] : []),
    ...lacks.map((lack) => `its user lacks ${lack}`),
    ...((stepsDone ?? 0) > stepsKnown
      ? [`its tables are of version ${stepsDone}, and this is ${stepsKnown}: a newer Sluice made them`]
      : []),
  ]
  if (faults.length > 0) return { verdict: 'bad', text: `PostgreSQL ${version}: ${faults.join('; ')}` }
  return { verdict: 'good', text: `PostgreSQL ${version}, ${tablesText(stepsDone, stepsKnown)}` }
}

function tablesText(done: number | undefined, known: number): string {
  if (done === undefined) return 'no tables yet: the first ledger makes them'
  if (done < known) return `tables of version ${done}: the first ledger of this version makes them ${known}`
  return `tables of version ${done}`
}

/** By a server that answers: who asks is not let in, or there is no such database. Or a file of the configuration cannot be read. */
function wasRefused(error: unknown): boolean {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } }
  return code === 'ENOENT' || code === 'EACCES' || /^(?:28|3D|42)/.test(String(cause?.code))
}
