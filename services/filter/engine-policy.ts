import type { EngineName, EnginePolicy } from '../../shared/config/model.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import type { EngineSettings } from './run-engines.ts'
import { hasTag } from '../../shared/spam/spam-policy.ts'

/**
 * The engines that look at a message: those the first fitting policy names, whoever sent it, and what proves a stranger's sender.
 * Without one that fits each engine looks at what it is meant for. @throws TableError
 */
export function enginesFor(
  policies: readonly EnginePolicy[],
  all: readonly EngineSettings[],
  envelope: Envelope,
  tables: TableSet,
): readonly EngineSettings[] {
  const policy = policies.find((one) => fits(one, envelope, tables))
  if (policy === undefined) return all
  const named = new Set(policy.engines.flatMap((name) => engineNames[name]))
  return all.flatMap((settings) => {
    if (settings.role === 'authentication') return [settings]
    return named.has(settings.engine.name) ? [{ ...settings, isAsked: true as const }] : []
  })
}

function fits({ for: condition }: EnginePolicy, envelope: Envelope, tables: TableSet): boolean {
  if (condition.kind === 'tag') return hasTag(envelope, condition.tag)
  const { address } = envelope.origin
  return address !== undefined && tables.matchesAddress(condition.table, address)
}

const engineNames: Readonly<Record<EngineName, readonly string[]>> = {
  builtin: ['classifier', 'gtube'],
  rspamd: ['rspamd'],
  spamassassin: ['spamassassin'],
  spamscanner: ['spamscanner'],
  lists: ['lists'],
  banned: ['banned'],
  virus: ['clamd'],
}
