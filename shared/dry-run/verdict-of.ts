import type { PipelineSettings } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { Envelope } from '../mail/envelope.ts'
import { blockOf, rulesFor, trustOf } from '../spam/spam-policy.ts'
import { heaviestDemand } from '../spam/weigh.ts'
import { NotRecorded } from './not-recorded.ts'
import type { RecordedVerdict } from './recorded-message.ts'

type SpamSettings = PipelineSettings['spam']

export type FilterAction = 'clean' | 'junk' | 'quarantine' | 'reject' | 'discard'

/** What mail counts that a list of blocked senders has, whatever else is found. */
const blockedScore = 100

/**
 * What the filter says by these thresholds of a message whose score and demands are recorded: no engine looks at it again.
 * @throws NotRecorded when it was not looked at, or not for spam. @throws TableError
 */
export function verdictOf(
  settings: SpamSettings,
  recorded: RecordedVerdict | undefined,
  envelope: Envelope,
  tables: TableSet,
): FilterAction {
  if (recorded === undefined) throw new NotRecorded('the filter has not looked at it')
  const { demands, mayReject } = recorded
  if (mayReject === undefined) throw new NotRecorded('the verdict is in the form of an older version')
  const pending = [...envelope.recipients.keys()]
  const thresholds = rulesFor(settings, envelope, pending, tables)
  const trusted = trustReason(settings, recorded, envelope, tables)
  const options = { thresholds, mayReject, ...(trusted === undefined ? {} : { trusted }) }
  const score = trusted === undefined ? scoreBy(settings, recorded, envelope, tables) : 0
  return heaviestDemand(demands, score, options)?.action ?? 'clean'
}

function trustReason(
  settings: SpamSettings,
  { symbols, authentication }: RecordedVerdict,
  envelope: Envelope,
  tables: TableSet,
): string | undefined {
  const trust = trustOf(settings, envelope, tables)
  if (trust === undefined) return undefined
  if (!trust.needsProof || has(symbols, 'TRUSTED') || authentication.includes('spf=pass ')) return trust.reason
  if (!authentication.includes('spf=')) throw new NotRecorded('whether SPF proves the sender is not in the record')
  return undefined
}

function scoreBy(
  settings: SpamSettings,
  { symbols, score }: RecordedVerdict,
  envelope: Envelope,
  tables: TableSet,
): number {
  const isBlocked = blockOf(settings, envelope, [...envelope.recipients.keys()], tables) !== undefined
  const wasBlocked = has(symbols, 'BLOCKED')
  if (isBlocked) return wasBlocked ? score : blockedScore
  if (wasBlocked || has(symbols, 'TRUSTED')) throw new NotRecorded('no engine for spam has looked at it')
  return score
}

function has(symbols: readonly string[], name: string): boolean {
  return symbols.some((symbol) => symbol.startsWith(`${name} `))
}
