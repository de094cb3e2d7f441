import type { FastifyRequest } from 'fastify'

import { OperationError } from '../../shared/operate/operation-error.ts'
import { field } from './access.ts'
import type { Schema } from './api-schemas.ts'

/** What an action may be told besides its target, by name. */
export type Fields = Readonly<Record<string, Schema & { readonly type: 'string' | 'boolean' }>>

/** What came along; a boolean that is true is `yes`, one that is false is absent. */
export type Given = Readonly<Record<string, string | undefined>>

/** The JSON that came along is not what the action takes; one sentence. */
export class FieldsError extends Error {
  override readonly name = 'FieldsError'
}

/**
 * Of a page's form; a field that was left empty is absent. A form whose meaning hangs on a field names it in its field `needs`: a copy for nobody
 * would be mail for those who have it.
 * @throws OperationError when that one was left empty
 */
export function givenByForm(request: FastifyRequest, fields: Fields = {}): Given {
  const needed = field(request, 'needs')
  if (needed !== undefined && (field(request, needed)?.trim() ?? '') === '')
    throw new OperationError(`this needs '${needed}'; nothing was done`)
  const texts = Object.keys(fields).map((name) => [name, field(request, name)?.trim()] as const)
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined && text !== ''))
}

/** Of a program's JSON; an action without fields does not look at it. @throws FieldsError */
export function givenByJson({ body }: FastifyRequest, fields: Fields = {}): Given {
  if (Object.keys(fields).length === 0 || typeof body !== 'string' || body.trim() === '') return {}
  return Object.fromEntries(Object.entries(objectOf(body)).map(([name, value]) => [name, textOf(fields, name, value)]))
}

/** Of the JSON, for the API's description. */
export function schemaOf(fields: Fields): Schema {
  return { type: 'object', properties: fields, required: [], additionalProperties: false }
}

function objectOf(body: string): object {
  const value = parsed(body)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FieldsError('send a JSON object')
  return value
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new FieldsError('what came along is no JSON', { cause: error })
  }
}

function textOf(fields: Fields, name: string, value: unknown): string | undefined {
  const known = Object.hasOwn(fields, name) ? fields[name] : undefined
  const names = Object.keys(fields).join(', ')
  if (known === undefined) throw new FieldsError(`'${name}' is not known here; there are: ${names}`)
  if (typeof value !== known.type) throw new FieldsError(`'${name}' is to be a ${known.type}`)
  return typeof value === 'boolean' ? (value ? 'yes' : undefined) : String(value)
}
