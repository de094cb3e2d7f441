import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { EngineRun } from './run-engines.ts'

/** What a scanner for viruses writes begins with it. */
export const virusPrefix = 'X-Virus'
const name = `${virusPrefix}-Status`

/** `X-Virus-Status: Clean`, `Infected (NAME)` or `Not scanned (why)`; nothing, and nothing removed, where no scanner is asked. */
export function virusEdits(runs: readonly EngineRun[]): HeaderEdit[] {
  const run = runs.find(({ settings }) => settings.engine.name === 'clamd')
  if (run === undefined) return []
  return [
    { kind: 'remove', name },
    { kind: 'prepend', fields: `${name}: ${statusOf(run)}\r\n` },
  ]
}

function statusOf({ result: { virus, reason } }: EngineRun): string {
  if (virus === undefined)
    return `Not scanned (${(reason ?? 'no result').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)})`
  return virus.kind === 'clean' ? 'Clean' : `Infected (${virus.name})`
}
