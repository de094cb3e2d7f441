import type { Configuration } from './model.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** The configuration as `sluicectl config --json` prints it: maps as objects; inline values that may be secrets are left out. */
export function toJson(configuration: Configuration): Json {
  const secret = secretTables(configuration)
  const { atRest } = configuration
  const hidden = {
    srs: hiddenKeys(configuration),
    atRest: atRest.key === undefined ? atRest : { ...atRest, key: 'hidden' },
  }
  return plain({ ...configuration, ...hidden }, (value) => secret.has(value))
}

function hiddenKeys({ srs }: Configuration): Configuration['srs'] {
  return srs && { ...srs, key: 'hidden', ...(srs.backupKey === undefined ? {} : { backupKey: 'hidden' }) }
}

/** Tables used for passwords: credentials of listeners, relays, `login` and the dashboard. */
function secretTables(configuration: Configuration): ReadonlySet<unknown> {
  const { listeners, actions, pipeline } = configuration
  const tables = [
    ...listeners.map((listener) => listener.auth.table),
    ...[...actions.values()].map((action) => (action.kind === 'relay' ? action.auth : undefined)),
    ...pipeline.login.map((setting) => (setting.kind === 'table' ? setting.table : undefined)),
    pipeline.dashboard.operators,
    pipeline.dashboard.tokens,
  ]
  return new Set(tables.filter((table) => table !== undefined))
}

function plain(value: unknown, isSecret: (value: unknown) => boolean): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, held]) => [String(key), plain(held, isSecret)]))
  }
  if (value instanceof Set) return [...value].map((held) => plain(held, isSecret))
  if (Array.isArray(value)) return value.map((held) => plain(held, isSecret))
  if (typeof value !== 'object') return null
  const entries = Object.entries(value).filter(([, held]) => held !== undefined)
  if (isSecret(value)) {
    return Object.fromEntries(
      entries.map(([key, held]) => [key, key === 'source' ? hidden(held) : plain(held, isSecret)]),
    )
  }
  return Object.fromEntries(entries.map(([key, held]) => [key, plain(held, isSecret)]))
}

function hidden(source: unknown): Json {
  const kind = typeof source === 'object' && source !== null && 'kind' in source ? source.kind : 'inline'
  if (kind === 'static') return { kind, value: 'hidden' }
  return kind !== 'inline' ? plain(source, () => false) : { kind: 'inline', entries: 'hidden' }
}
