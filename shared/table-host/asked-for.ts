import type { TableService } from '../config/external-table.ts'
import type { Asked } from '../config/table-backend.ts'

/** @throws Error when the settings say nothing about it */
export function askedFor<Question>({ any, by }: Asked<Question>, service: TableService, what: string): Question {
  const question = by.get(service) ?? any
  if (question === undefined) throw new Error(`its settings have no ${what} for ${service}`)
  return question
}

/** Fields of an entry are put together by colons, entries by commas: `uid:gid:home`, `ann, eve`. No entry: not found. */
export function joined(entries: readonly (readonly string[])[]): string | undefined {
  return entries.length === 0 ? undefined : entries.map((fields) => fields.join(':')).join(', ')
}
