import type { PipelineSettings } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { enginesFor } from './engine-policy.ts'
import type { EngineRun, EngineSettings } from './run-engines.ts'
import { blockOf, trustOf } from '../../shared/spam/spam-policy.ts'

/** The message that engines are asked about. */
export interface Asked {
  readonly envelope: Envelope
  /** Indexes of the recipients that are judged. */
  readonly pending: readonly number[]
}

export interface AskParts {
  readonly pipeline: Pick<PipelineSettings, 'spam' | 'enginePolicies'>
  readonly engines: readonly EngineSettings[]
  readonly tables: TableSet
  ask(engines: readonly EngineSettings[]): Promise<readonly EngineRun[]>
}

/**
 * Asks the engines that the policies name for a message. Trusted and blocked mail is not searched for spam; where trust needs a proof,
 * whoever can give it is asked first. Who is proven to be trusted is not blocked. @throws TableError
 */
export async function askEngines(
  { envelope, pending }: Asked,
  { pipeline: { spam, enginePolicies }, engines, tables, ask }: AskParts,
): Promise<{ readonly runs: readonly EngineRun[]; readonly trusted: string | undefined }> {
  const looking = await settle(tables, (settled) => enginesFor(enginePolicies, engines, envelope, settled))
  const trust = await settle(tables, (settled) => trustOf(spam, envelope, settled))
  const blocked = await settle(tables, (settled) => blockOf(spam, envelope, pending, settled))
  if (trust === undefined && blocked === undefined) return { runs: await ask(looking), trusted: undefined }
  const runs = await ask(looking.filter(({ role }) => role !== 'spam'))
  if (trust !== undefined && (!trust.needsProof || provesSender(runs))) return { runs, trusted: trust.reason }
  const others =
    blocked === undefined ? await ask(looking.filter(({ role }) => role === 'spam')) : [blockedRun(blocked)]
  return { runs: [...runs, ...others], trusted: undefined }
}

/** SPF says that the reverse-path is no forgery. */
export function provesSender(runs: readonly EngineRun[]): boolean {
  return runs.some(({ result }) => result.authentication?.spf.some((finding) => finding.startsWith('spf=pass ')))
}

const blockedScore = 100

/** As if an engine had found it. */
function blockedRun(reason: string): EngineRun {
  const symbols = [{ name: 'BLOCKED', score: blockedScore, text: `${reason}: not looked through for spam` }]
  const engine = {
    name: 'blocked',
    applies: () => true,
    scan: () => Promise.reject(new Error()),
    close: async () => {},
  }
  const settings = { engine, role: 'spam', weight: 1, timeoutMs: 0, onFailure: 'proceed' } as const
  return { settings, result: { status: 'ok', score: blockedScore, symbols, tookMs: 0 } }
}
