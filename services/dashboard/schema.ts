/** The part of JSON Schema that describes the API's answers. What an answer has beyond its schema is not sent. */
export interface Schema {
  readonly type: string | readonly string[]
  readonly description?: string
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly additionalProperties?: boolean
}

export const text: Schema = { type: 'string' }
export const texts: Schema = { type: 'array', items: text }
export const count: Schema = { type: 'integer' }
export const flag: Schema = { type: 'boolean' }
export const instant: Schema = { type: 'integer', description: 'Milliseconds since 1970, UTC.' }
export const reversePath: Schema = { type: ['string', 'null'], description: 'null is the null reverse-path <>.' }

/** An object; a property whose name ends in `?` may be absent. */
export function object(properties: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(properties)
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name.replace(/\?$/, ''), one])),
    required: names.filter((name) => !name.endsWith('?')),
    additionalProperties: false,
  }
}

export function list(items: Schema): Schema {
  return { type: 'array', items }
}
