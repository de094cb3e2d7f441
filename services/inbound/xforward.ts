import type { Upstream } from '../../shared/mail/envelope.ts'
import { addressIn, hostNameIn, isUnknown, parseAttributes, portIn } from './attributes.ts'
import type { ReadAttribute } from './attributes.ts'

/** The attributes that are taken. */
export const xforwardAttributes = 'NAME ADDR PORT PROTO HELO IDENT SOURCE'

/**
 * What a content filter says of the client that the next message first came from (Postfix's XFORWARD), added to what it said before:
 * attributes may come in several commands, and `[UNAVAILABLE]` takes one back. `undefined`: nothing that is understood.
 */
export function parseXforward(argument: string, before: Upstream = {}): Upstream | undefined {
  const said = parseAttributes<Said>(argument, readers)
  if (said === undefined) return undefined
  const known = Object.entries({ ...before, ...said }).filter(([, value]) => value !== unknown)
  return Object.fromEntries(known)
}

/** Is not known, or not any more. */
const unknown = Symbol('unknown')
type Said = { readonly [Key in keyof Upstream]: Upstream[Key] | typeof unknown }

const readers: Readonly<Record<string, ReadAttribute<Said>>> = {
  NAME: reader('name', hostNameIn),
  ADDR: reader('address', addressIn),
  PORT: reader('port', portIn),
  PROTO: reader('protocol', (value) => (/^[A-Za-z0-9-]{1,64}$/.test(value) ? value : undefined)),
  // Strangers say anything: what is recorded must not look like an address, a comment or more than one word.
  HELO: reader('helo', (value) => value.slice(0, 255).replaceAll(/[^A-Za-z0-9.:_[\]-]/g, '?')),
  IDENT: reader('ident', (value) => (/^[\x21-\x7e]{1,255}$/.test(value) ? value : undefined)),
  SOURCE: reader('source', (value) => sources.get(value.toUpperCase())),
}

const sources = new Map([
  ['LOCAL', 'local'],
  ['REMOTE', 'remote'],
] as const) as ReadonlyMap<string, Upstream['source']>

function reader<Key extends keyof Upstream>(
  key: Key,
  read: (value: string) => Upstream[Key] | undefined,
): ReadAttribute<Said> {
  return (value) => {
    const said = isUnknown(value) ? unknown : read(value)
    return said === undefined ? undefined : { [key]: said }
  }
}
