import type { OfflineVerdict } from '../../shared/pipeline/offline-filter.ts'
import { textTable } from './text-table.ts'

type Action = OfflineVerdict['action']

/** Counts verdicts; with a second one for each message, how they change. */
export interface ScanSummary {
  readonly messages: number
  add(action: Action, other?: Action): void
  /** @param model that judged the words */
  lines(model: string): readonly string[]
  record(): object
}

const actions: readonly Action[] = ['clean', 'junk', 'quarantine', 'reject', 'discard']

export function scanSummary(): ScanSummary {
  const before = new Map<Action, number>()
  const after = new Map<Action, number>()
  const changes = new Map<string, number>()
  let messages = 0
  let isCompared = false

  function count<Key>(counts: Map<Key, number>, key: Key): void {
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }

  function rows(): readonly (readonly string[])[] {
    return actions
      .filter((action) => before.has(action) || after.has(action))
      .map((action) => {
        const counts = isCompared ? [before, after] : [before]
        return [
          action,
          ...counts.flatMap((one) => [`${one.get(action) ?? 0}`, shareOf(one.get(action) ?? 0, messages)]),
        ]
      })
  }

  return {
    get messages() {
      return messages
    },
    add(action, other) {
      messages += 1
      count(before, action)
      if (other === undefined) return
      isCompared = true
      count(after, other)
      if (other !== action) count(changes, `${action} -> ${other}`)
    },
    lines(model) {
      const titles = isCompared ? ['verdict', 'now', '', 'then', ''] : ['verdict', 'messages', '']
      const columns = titles.map((title, index) => ({ title, align: index === 0 ? 'left' : 'right' }) as const)
      const changed = [...changes.values()].reduce((sum, one) => sum + one, 0)
      return [
        '',
        ...textTable(columns, rows()),
        ...(isCompared ? [`${changed} of ${counted(messages)} would be judged otherwise`] : []),
        ...[...changes].map(([change, number]) => `  ${change}: ${number}`),
        `${counted(messages)}, judged with ${model}`,
      ]
    },
    record: () => ({
      messages,
      before: Object.fromEntries(before),
      after: Object.fromEntries(after),
      changes: Object.fromEntries(changes),
    }),
  }
}

export function counted(messages: number): string {
  return messages === 1 ? '1 message' : `${messages} messages`
}

function shareOf(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
}
