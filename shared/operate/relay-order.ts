import { anyLogin } from '../config/any-login.ts'
import type { Configuration } from '../config/model.ts'
import { RelayUrlError, parseRelayUrl } from '../config/relay-url.ts'
import type { RelayUrl } from '../config/relay-url.ts'
import { queueOfRelay } from '../config/return-tags.ts'
import { TableError } from '../config/tables.ts'
import type { TableSet } from '../config/tables.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import { OperationError } from './operation-error.ts'

/** Where to, as an operator writes it: one of the three. */
export interface GivenOrder {
  /** A relay URL of smtpd.conf: `smtp+tls://label@mx.example.org:587`; a host alone is `smtp://`. */
  readonly to?: string | undefined
  /** Name of a relay action. */
  readonly action?: string | undefined
  /** Where the rules say, as before. */
  readonly undo?: boolean | undefined
}

export interface OrderParts {
  readonly configuration: Pick<Configuration, 'actions' | 'pipeline'>
  readonly tables: TableSet
  /**
   * The user and password of a label may be sent to any host: who asks can read them himself. Otherwise to hosts alone that a relay action
   * names with this label, so that nobody gets to know them by a host of his own.
   */
  readonly loginsAnywhere?: boolean
}

/** `undefined`: where the rules say. @throws OperationError that says what is wrong with it */
export async function readOrder(parts: OrderParts, given: GivenOrder): Promise<RelayOrder | undefined> {
  const { to, action, undo } = given
  if ([to, action, undo === true ? true : undefined].filter((one) => one !== undefined).length !== 1)
    throw new OperationError('name one of: a relay host, a relay action, undo')
  if (to !== undefined) return hostOrder(parts, to.trim())
  return action === undefined ? undefined : actionOrder(parts, action)
}

/** Those that relay to another host, not to a queue of this one. */
export function relayActions({ actions, pipeline }: OrderParts['configuration']): readonly string[] {
  const relays = [...actions.values()].filter((action) => {
    if (action.kind !== 'relay') return false
    const [host] = action.host?.source.kind === 'inline' ? (action.host.source.list ?? []) : []
    return host === undefined || queueOfRelay(pipeline.queues, host) === undefined
  })
  return relays.map(({ name }) => name)
}

export function describeOrder(order: RelayOrder): string {
  return order.kind === 'host' ? order.url : `action "${order.name}"`
}

async function hostOrder(parts: OrderParts, text: string): Promise<RelayOrder> {
  const url = text.includes('://') ? text : `smtp://${text}`
  const parsed = urlOf(url)
  if (parsed.kind === 'queue' || queueOfRelay(parts.configuration.pipeline.queues, url) !== undefined)
    throw new OperationError(`"${text}" is a queue of this server: name a host that mail is relayed to`)
  const { label } = parsed
  if (label === undefined) return { kind: 'host', url }
  if (!(await hasLogin(parts, label)))
    throw new OperationError(`no auth table of a relay action has a user and password for the label "${label}"`)
  if (parts.loginsAnywhere !== true && !isNamed(parts.configuration, { ...parsed, label }))
    throw new OperationError(
      `no relay action names "${text}", and from here the label "${label}" goes to hosts of relay actions alone; \`sluicectl reroute\` sends it to any`,
    )
  return { kind: 'host', url }
}

type SmtpHost = Exclude<RelayUrl, { readonly kind: 'queue' }>

/** Whether a relay action has the host, its port and the label; hosts that a table tells only when it is asked are not known. */
function isNamed({ actions }: OrderParts['configuration'], { host, port, label }: SmtpHost): boolean {
  return [...actions.values()].some((action) => {
    const source = action.kind === 'relay' ? action.host?.source : undefined
    const written = source?.kind === 'inline' ? (source.list ?? []) : []
    return written.some((url) => {
      const named = urlOf(url)
      if (named.kind === 'queue' || named.label !== label) return false
      return named.host.toLowerCase() === host.toLowerCase() && named.port === port
    })
  })
}

function urlOf(url: string): RelayUrl {
  try {
    return parseRelayUrl(url)
  } catch (error) {
    if (error instanceof RelayUrlError) throw new OperationError(`"${url}" is no relay host: ${error.message}`)
    throw error
  }
}

async function hasLogin(parts: OrderParts, label: string): Promise<boolean> {
  try {
    return (await anyLogin(parts, label)) !== undefined
  } catch (error) {
    if (error instanceof TableError) throw new OperationError(error.message)
    throw error
  }
}

function actionOrder({ configuration }: OrderParts, name: string): RelayOrder {
  const relays = relayActions(configuration)
  if (relays.includes(name)) return { kind: 'action', name }
  const there = relays.map((one) => `"${one}"`).join(', ')
  throw new OperationError(
    `there is no action "${name}" that relays to another host; there ${there === '' ? 'is none' : `are: ${there}`}`,
  )
}
