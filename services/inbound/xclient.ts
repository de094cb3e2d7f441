import type { ClientName } from '../../shared/client-name.ts'
import { addressIn, hostNameIn, isUnknown, parseAttributes, portIn } from './attributes.ts'
import type { ReadAttribute } from './attributes.ts'
import { heloArgument } from './helo-argument.ts'

/** For whom a trusted client speaks: what XCLIENT (Postfix's) says of him; what is absent stays as it was. */
export interface ForwardedClient {
  readonly address?: string
  readonly port?: number
  readonly name?: ClientName
  /** Who has logged in there; absent: nobody has. */
  readonly user?: string
  /** As if it had been said here. */
  readonly helo?: string
  /** It was EHLO. */
  readonly extended?: boolean
  /** The address and the port he connected to. */
  readonly toAddress?: string
  readonly toPort?: number
}

/** The attributes that are taken. */
export const xclientAttributes = 'NAME REVERSE_NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT'

/** An address of nobody: the one of the client is not known there. */
const unknownAddress = '0.0.0.0'

/** What XCLIENT says; `undefined`: nothing that is understood. */
export function parseXclient(argument: string): ForwardedClient | undefined {
  const said = parseAttributes<Said>(argument, readers)
  if (said === undefined) return undefined
  const { name: verified, reverseName, ...client } = said
  const name = nameOf(verified, reverseName)
  return name === undefined ? client : { ...client, name }
}

/** NAME and REVERSE_NAME are one thing here: a name, and whether it leads back to the address. */
type Said = ForwardedClient & { readonly reverseName?: string }

const readers: Readonly<Record<string, ReadAttribute<Said>>> = {
  NAME(value) {
    if (value === '[UNAVAILABLE]') return { name: { forward: 'fail' } }
    if (value === '[TEMPUNAVAIL]') return { name: { forward: 'error' } }
    const name = hostNameIn(value)
    return name === undefined ? undefined : { name: { name, forward: 'pass' } }
  },
  REVERSE_NAME(value) {
    return isUnknown(value) ? {} : only('reverseName', hostNameIn(value))
  },
  ADDR(value) {
    return only('address', isUnknown(value) ? unknownAddress : addressIn(value))
  },
  PORT(value) {
    return only('port', isUnknown(value) ? 0 : portIn(value))
  },
  PROTO(value) {
    if (isUnknown(value)) return {}
    return /^E?SMTP$/i.test(value) ? { extended: value.length === 5 } : undefined
  },
  HELO(value) {
    if (isUnknown(value)) return {}
    return heloArgument.test(value) ? { helo: value } : undefined
  },
  LOGIN(value) {
    if (isUnknown(value)) return {}
    return /^[\x20-\x7e]{1,256}$/.test(value) ? { user: value } : undefined
  },
  DESTADDR(value) {
    return isUnknown(value) ? {} : only('toAddress', addressIn(value))
  },
  DESTPORT(value) {
    return isUnknown(value) ? {} : only('toPort', portIn(value))
  },
}

function nameOf(name: ClientName | undefined, reverseName: string | undefined): ClientName | undefined {
  if (reverseName === undefined || name?.forward === 'pass') return name
  return { name: reverseName, forward: name?.forward ?? 'fail' }
}

function only<Key extends string, Value>(key: Key, value: Value | undefined): Readonly<Record<Key, Value>> | undefined {
  return value === undefined ? undefined : ({ [key]: value } as Record<Key, Value>)
}
