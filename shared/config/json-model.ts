import { readFileSync } from 'node:fs'

import { resolved, schemaFault } from './json-schema.ts'
import type { Schema } from './json-schema.ts'
import type { Configuration } from './model.ts'
import type { Json } from './to-json.ts'

/** What a generator has made is no model; the message says where. */
export class JsonModelError extends Error {
  override readonly name = 'JsonModelError'
}

/** smtpd.conf never begins like that. */
export function isJsonModel(text: string): boolean {
  return /^\s*\{\s*["}]/.test(text)
}

/**
 * The model as `sluicectl config --json` prints it, read back: for programs that make configurations. It must be as
 * docs/configuration.schema.json says; values that were printed as "hidden" must have been put in, or into files.
 * @throws JsonModelError
 */
export function parseJsonModel(text: string): Configuration {
  const schema = publishedSchema()
  const json = parse(text)
  const fault = schemaFault(json, schema, 'configuration') ?? hiddenFault(json, 'configuration')
  if (fault !== undefined) throw new JsonModelError(fault)
  return revive(json, schema, { schema, tables: new Map() }) as Configuration
}

function publishedSchema(): Schema {
  return JSON.parse(readFileSync(new URL('../../docs/configuration.schema.json', import.meta.url), 'utf8')) as Schema
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new JsonModelError(`this is no JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** Passwords and keys are never printed. */
function hiddenFault(value: Json, path: string): string | undefined {
  if (value === null || typeof value !== 'object') return undefined
  const held: readonly (readonly [string, Json])[] = Array.isArray(value)
    ? value.map((one: Json, index) => [`[${index}]`, one] as const)
    : Object.entries(value).map(([key, one]) => [`.${key}`, one] as const)
  for (const [key, one] of held) {
    if (one === 'hidden' && (['.entries', '.key', '.backupKey'].includes(key) || (key === '.value' && isStatic(value))))
      return `${path}${key} is hidden in what was printed: put the values in, for a table by {"kind": "file", "path": "..."}`
    const fault = hiddenFault(one, path + key)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Files that a model names and that must be there, by their places in it. Those that ACME makes are none of them. */
export function namedFiles(model: Configuration): readonly NamedPlace[] {
  const { acme, ...pipeline } = model.pipeline
  const all = [
    ...[...model.pkis].flatMap(([name, { cert, key }]): NamedPlace[] => [
      [`configuration.pkis.${name}.cert`, cert],
      [`configuration.pkis.${name}.key`, key],
    ]),
    ...[...model.cas].map(([name, file]): NamedPlace => [`configuration.cas.${name}`, file]),
    ...filesIn(pipeline, 'configuration.pipeline'),
    ...filesIn(acme?.challenge, 'configuration.pipeline.acme.challenge'),
  ]
  return all.filter(([, file]) => file !== acme?.certFile && file !== acme?.keyFile)
}

type NamedPlace = readonly [place: string, file: string]

function filesIn(value: unknown, place: string): readonly NamedPlace[] {
  if (value === null || typeof value !== 'object') return []
  const held: readonly (readonly [string, unknown])[] = Object.entries(value)
  const file = 'kind' in value && value.kind === 'passwd' ? 'file' : undefined
  return held.flatMap(([key, one]) =>
    typeof one === 'string' && (key === file || /File$|^tlsCa$|^hook$/.test(key))
      ? [[`${place}.${key}`, one] as const]
      : filesIn(one, `${place}.${key}`),
  )
}

function isStatic(value: object): boolean {
  return 'kind' in value && value.kind === 'static'
}

interface Revival {
  readonly schema: Schema
  /** Each table once, whoever names it, so that it is read and watched once. */
  readonly tables: Map<string, unknown>
}

/** Objects whose keys are names become maps, as they were. The value fits the schema. */
function revive(value: Json, asked: Schema, revival: Revival): unknown {
  const known = resolved(asked, revival.schema)
  if (known.anyOf !== undefined) {
    const fitting = known.anyOf.find(
      (one) => schemaFault(value, { ...one, $defs: revival.schema.$defs ?? {} }, '') === undefined,
    )
    return revive(value, fitting ?? {}, revival)
  }
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((one: Json) => revive(one, known.items ?? {}, revival))
  const { properties, additionalProperties } = known
  const of = (key: string): Schema =>
    properties?.[key] ?? (typeof additionalProperties === 'object' ? additionalProperties : {})
  const held = Object.entries(value).map(([key, one]) => [key, revive(one, of(key), revival)] as const)
  if (properties === undefined && typeof additionalProperties === 'object') return new Map(held)
  const object = Object.fromEntries(held)
  if (asked.$ref !== '#/$defs/table') return object
  const key = JSON.stringify(value)
  const first = revival.tables.get(key) ?? object
  revival.tables.set(key, first)
  return first
}
