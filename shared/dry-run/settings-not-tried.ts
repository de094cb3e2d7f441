import { isDeepStrictEqual } from 'node:util'

import type { Configuration } from '../config/model.ts'
import { toJson } from '../config/to-json.ts'
import type { Json } from '../config/to-json.ts'

/** What `judgeMessage` and `refusedBy` go by, or what only says where something was read. */
const tried = new Set([
  'revision',
  'rules',
  'actions',
  'tables',
  'subAddressDelimiter',
  'hostname',
  'srs',
  ...['restrictions', 'rewriting', 'relocated', 'users', 'forwardFiles', 'mda', 'queues'].map(
    (name) => `pipeline.${name}`,
  ),
  ...['junk', 'quarantine', 'reject', 'discard', 'policies', 'clean', 'blocked'].map((name) => `pipeline.spam.${name}`),
])

/** Settings in which two configurations differ and of which no recorded message tells what they would do, by their paths. */
export function settingsNotTried(one: Configuration, other: Configuration): readonly string[] {
  return differing(withoutPlaces(toJson(one)), withoutPlaces(toJson(other)), '')
    .filter((path) => !tried.has(path))
    .toSorted()
}

function differing(one: Json, other: Json, path: string): readonly string[] {
  const isGroup = path === '' || path === 'pipeline' || path === 'pipeline.spam'
  if (!isGroup || !isRecord(one) || !isRecord(other)) return isDeepStrictEqual(one, other) ? [] : [path]
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].flatMap((name) =>
    differing(one[name] ?? null, other[name] ?? null, path === '' ? name : `${path}.${name}`),
  )
}

type JsonRecord = { readonly [key: string]: Json }

function isRecord(value: Json): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Lines move when something above them changes. */
function withoutPlaces(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((one) => withoutPlaces(one))
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'at')
      .map(([name, one]) => [name, withoutPlaces(one)]),
  )
}
