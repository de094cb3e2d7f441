import type { Json } from './to-json.ts'

/** The part of JSON Schema that ours uses. */
export interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly type?: string
  readonly enum?: readonly Json[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

/** Where the value is not as the schema says, `path` in front; the first fault only. */
export function schemaFault(value: Json, schema: Schema, path: string): string | undefined {
  return fault(value, schema, path)

  function fault(value: Json, asked: Schema, path: string): string | undefined {
    const known = resolved(asked, schema)
    if (known.anyOf !== undefined) {
      const faults = known.anyOf.map((one) => fault(value, one, path))
      return faults.includes(undefined) ? undefined : furthest(faults)
    }
    if (known.enum !== undefined) {
      return known.enum.includes(value)
        ? undefined
        : `${path}: ${JSON.stringify(value)} is not one of ${JSON.stringify(known.enum)}`
    }
    if (known.type === 'array') {
      if (!Array.isArray(value)) return `${path} is no array`
      return firstOf(value.map((one: Json, index) => fault(one, known.items ?? {}, `${path}[${index}]`)))
    }
    if (known.type === 'object') return faultOfObject(value, known, path)
    if (known.type === 'integer' || known.type === 'number') return faultOfNumber(value, known, path)
    if (known.type !== typeof value) return `${path} is no ${known.type}`
    const matches = known.pattern === undefined || (typeof value === 'string' && new RegExp(known.pattern).test(value))
    return matches ? undefined : `${path} does not match ${known.pattern}`
  }

  function faultOfObject(value: Json, asked: Schema, path: string): string | undefined {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${path} is no object`
    const held = Object.entries(value)
    const missing = asked.required?.find((name) => !held.some(([key]) => key === name))
    if (missing !== undefined) return `${path}.${missing} is missing`
    return firstOf(
      held.map(([key, one]) => {
        const of = asked.properties?.[key] ?? asked.additionalProperties
        if (of === false) return `${path}.${key} is unknown`
        return typeof of === 'object' ? fault(one, of, `${path}.${key}`) : undefined
      }),
    )
  }

  function faultOfNumber(value: Json, asked: Schema, path: string): string | undefined {
    if (typeof value !== 'number') return `${path} is no number`
    if (asked.type === 'integer' && !Number.isInteger(value)) return `${path} is no integer`
    const { minimum = -Infinity, maximum = Infinity } = asked
    return value >= minimum && value <= maximum ? undefined : `${path}: ${value}`
  }
}

/** Of several forms the one that was meant fits best: its fault lies deepest. */
function furthest(faults: readonly (string | undefined)[]): string | undefined {
  const depth = (fault = ''): number => (fault.split(/[ :]/, 1)[0] ?? '').length
  return faults.toSorted((one, other) => depth(other) - depth(one))[0]
}

/** What a reference stands for. */
export function resolved(asked: Schema, root: Schema): Schema {
  return asked.$ref === undefined ? asked : (root.$defs?.[asked.$ref.replace('#/$defs/', '')] ?? {})
}

function firstOf(faults: readonly (string | undefined)[]): string | undefined {
  return faults.find((one) => one !== undefined)
}
