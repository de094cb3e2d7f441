import type { Configuration, Table } from '../config/model.ts'

/** What the tables of a configuration are read from, or ask; those that stand in the configuration itself are left out. */
export interface TableSources {
  /** Names of the tables, by what is the same for the same source. */
  readonly all: ReadonlyMap<string, string>
  readonly files: ReadonlySet<string>
}

export function tableSources(configuration: Configuration): TableSources {
  const all = new Map<string, string>()
  const files = new Set<string>()
  for (const { name, source } of tablesIn(configuration, new Set())) {
    if (source.kind === 'inline' || source.kind === 'static') continue
    all.set(JSON.stringify(source), name)
    if (source.kind === 'file' || source.kind === 'patterns') files.add(source.path)
  }
  return { all, files }
}

/** Wherever a setting holds one. */
function* tablesIn(value: unknown, seen: Set<object>): Generator<Table> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  if (isTable(value)) yield value
  const held = value instanceof Map ? [...value.values()] : Object.values(value)
  for (const one of held) yield* tablesIn(one, seen)
}

function isTable(value: object): value is Table {
  if (!('name' in value && 'source' in value)) return false
  const { name, source } = value
  return typeof name === 'string' && typeof source === 'object' && source !== null && 'kind' in source
}
