import { isLoopback } from '../config/loopback.ts'
import type { Configuration, Listener, Position } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import { TableError } from '../config/tables.ts'
import type { TableSet } from '../config/tables.ts'
import { domainOf, parseMailbox } from '../mail/address.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import { tag } from '../mail/tag.ts'
import type { LookUp, Resolver } from '../resolver.ts'
import { resolveForwardPath } from '../routing/forward-path.ts'
import { journeyOf } from '../routing/journey.ts'
import type { RoutingContext, Transaction } from '../routing/transaction.ts'
import { explainRestrictions } from './explain.ts'

/** A stranger's mail to a stranger is relayed. */
export interface OpenRelay {
  readonly listener: Listener
  /** Of the rule that lets it out. */
  readonly at: Position
  readonly sender: string
  readonly recipient: string
  readonly helo: string
}

export type RelayTest = Pick<RoutingContext, 'configuration' | 'tables' | 'localAddresses'> & {
  readonly nowAt: number
}

/** Nobody has mail there (RFC 2606 §2). */
const outside = 'relaytest.invalid'
const strangers = ['198.51.100.77', '2001:db8:ffff::77']
/** Of a table in `mail-from` or `helo`: who forges, forges what the rules ask for. */
const mostForgeries = 8

/**
 * Asks the rules and restrictions of each listener that does not demand a login what a stranger asks them: to relay, in the forms of
 * addresses that have opened mail servers before, under senders and names that the rules trust. Nothing is sent and no DNS is asked:
 * the stranger's is without fault. A listener whose tables cannot be read now is not judged.
 */
export async function findOpenRelays(test: RelayTest): Promise<readonly OpenRelay[]> {
  const found: OpenRelay[] = []
  for (const listener of test.configuration.listeners.filter(isForStrangers)) {
    try {
      found.push(...(await relaysOf(listener, test)))
    } catch (error) {
      if (!(error instanceof TableError)) throw error
    }
  }
  return found
}

/** For the log and for `check`. */
export function describeOpenRelay({ listener, sender, recipient, helo }: OpenRelay): string {
  const port = `${listener.on} port ${listener.port}`
  const as = helo === strangersName ? '' : ` and HELO ${helo}`
  return `open relay: on ${port} this rule lets a stranger send to other servers (from <${sender}>${as} to <${recipient}>)`
}

export const openRelayHint =
  'write `from auth`, `from local` or `from src <your networks>`, or `for domain` and your domains; if it is meant, `strangers may relay` in pipeline.conf says so'

function isForStrangers(listener: Listener): boolean {
  const { on, auth, proxy, verifyClient } = listener
  return on !== 'socket' && auth.kind !== 'required' && !verifyClient && (!isLoopback(on) || proxy)
}

async function relaysOf(listener: Listener, test: RelayTest): Promise<readonly OpenRelay[]> {
  const { configuration } = test
  const [plain, ...twisted] = recipientForms(configuration)
  const helos = [strangersName, ...forgeries(configuration, test.tables, 'helo')]
  const senders = [`stranger@${outside}`, '', `postmaster@${configuration.hostname}`]
  const forged = forgeries(configuration, test.tables, 'mail-from').map(senderOf)
  const attempts = [
    ...[...senders, ...forged].flatMap((sender) => helos.map((helo) => ({ sender, helo, recipient: plain ?? '' }))),
    ...twisted.flatMap((recipient) => senders.map((sender) => ({ sender, helo: strangersName, recipient }))),
  ]
  const relays = new Map<string, OpenRelay>()
  for (const address of strangers) {
    for (const tls of listener.tls === 'none' ? [false] : [false, true]) {
      for (const attempt of attempts) {
        const at = await relayedBy(attempt, { listener, address, tls, test })
        if (at === undefined || relays.has(`${at.file}:${at.line}`)) continue
        relays.set(`${at.file}:${at.line}`, { listener, at, ...attempt })
      }
    }
  }
  return [...relays.values()]
}

interface Attempt {
  readonly sender: string
  readonly helo: string
  readonly recipient: string
}

interface Stranger {
  readonly listener: Listener
  readonly address: string
  readonly tls: boolean
  readonly test: RelayTest
}

const strangersName = `mx.${outside}`

/** The rule that relays it; undefined: it is refused, or stays here. */
async function relayedBy(attempt: Attempt, stranger: Stranger): Promise<Position | undefined> {
  const recipient = parseMailbox(attempt.recipient)
  const reversePath = attempt.sender === '' ? null : parseMailbox(attempt.sender)
  if (recipient === undefined || reversePath === undefined) return undefined
  const { listener, test } = stranger
  const context = { ...test, transaction: transactionOf(attempt, reversePath, stranger) }
  const at = await settle(test.tables, (tables) => relayRule({ ...context, tables }, recipient, test.nowAt))
  if (at === undefined) return undefined
  const restrictions = await explainRestrictions({ ...context, listener, recipient, resolver: faultlessDns })
  return restrictions?.refusal === undefined ? at : undefined
}

function transactionOf({ helo }: Attempt, reversePath: ReversePath, { listener, address, tls }: Stranger): Transaction {
  return {
    peer: { address, rdns: strangersName },
    helo,
    tls,
    tags: listener.tag === undefined ? [] : [tag(listener.tag)],
    reversePath,
  }
}

function relayRule(context: RoutingContext, recipient: Mailbox, nowAt: number): Position | undefined {
  const resolution = resolveForwardPath(context, recipient, nowAt)
  if (resolution.kind === 'rejected') return undefined
  const leaving = resolution.recipients.some(({ mailbox }) => leads(mailbox))
  if (!leaving) return undefined
  const { route } = journeyOf(context, recipient).last
  return route.kind === 'relay' ? route.rule : undefined
}

/** To where the stranger wanted it. */
function leads(mailbox: Mailbox): boolean {
  return domainOf(mailbox).includes(outside) || domainOf(mailbox).startsWith('[')
}

/** RFC 5321 has few; relays were opened by what their successors made of the others. The plain one stands first. */
function recipientForms({ hostname }: Configuration): readonly string[] {
  const user = 'victim'
  return [
    `${user}@${outside}`,
    `${user}@${outside.toUpperCase()}`,
    `"${user}"@${outside}`,
    `${user}@${outside}.`,
    `${user}@sub.${outside}`,
    `${user}@[203.0.113.77]`,
    `${user}@[IPv6:2001:db8::77]`,
    `${user}%${outside}@${hostname}`,
    `"${user}%${outside}"@${hostname}`,
    `${user}%${outside}@[127.0.0.1]`,
    `${user}%${outside}@localhost`,
    `"${user}@${outside}"@${hostname}`,
    `"${user}@${outside}"@[127.0.0.1]`,
    `${outside}!${user}@${hostname}`,
    `"${outside}!${user}"@${hostname}`,
    `${outside}!${user}@[127.0.0.1]`,
    `${user}@${outside}@${hostname}`,
    `${user}@${hostname}@${outside}`,
    `@${hostname}:${user}@${outside}`,
    `@${outside}:${user}@${hostname}`,
    `"${user}@${hostname}"@${outside}`,
    `${hostname}!${user}@${outside}`,
    `${user}%${hostname}@${outside}`,
    `postmaster@${outside}`,
    `${user}+${hostname}@${outside}`,
    `${user}=${hostname}@${outside}`,
    `${user}@${hostname}.${outside}`,
  ]
}

/** What the rules ask for in that condition, as far as it stands in a file or in the rule. */
function forgeries({ rules }: Configuration, tables: TableSet, kind: 'mail-from' | 'helo'): readonly string[] {
  const named = rules.flatMap(({ conditions }) => conditions.filter((one) => one.kind === kind))
  const entries = named.flatMap((condition) => {
    const table = 'table' in condition && !condition.not ? condition.table : undefined
    const readable = table?.source.kind === 'inline' || table?.source.kind === 'file'
    return table !== undefined && readable ? tables.entries(table).slice(0, mostForgeries) : []
  })
  return [...new Set(entries)].slice(0, mostForgeries)
}

/** `@example.org` and `example.org` stand for all their users, `*` for any text. */
function senderOf(entry: string): string {
  const address = entry.includes('@') ? entry : `@${entry}`
  return (address.startsWith('@') ? `stranger${address}` : address).replaceAll('*', 'x')
}

/** The DNS of a stranger whose names are all in order; of others there is nothing. */
const faultlessDns: Resolver = {
  mx: (name) => answer(name, { exchange: strangersName, priority: 10 }),
  a: (name) => answer(name, '198.51.100.77'),
  aaaa: (name) => answer(name, '2001:db8:ffff::77'),
  txt: () => nothing(),
  ptr: async () => ({ kind: 'found', records: [strangersName] }),
  close: () => undefined,
}

async function answer<T>(name: string, record: T): Promise<LookUp<T>> {
  return name.replace(/\.$/, '').endsWith(outside) ? { kind: 'found', records: [record] } : nothing()
}

async function nothing(): Promise<{ readonly kind: 'absent'; readonly name: boolean }> {
  return { kind: 'absent', name: true }
}
