import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Configuration } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import type { ReversePath } from '../../shared/mail/address.ts'
import { addressesIn, replaceAddresses } from '../../shared/mail/address-list.ts'
import type { Envelope, Origin } from '../../shared/mail/envelope.ts'
import { fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit, HeaderField } from '../../shared/mail/header-edit.ts'
import { completesHeaders, rewritesHeaders, rewrittenAddress } from '../../shared/routing/rewriting.ts'
import type { AddressRole } from '../../shared/routing/rewriting.ts'
import type { RoutingContext } from '../../shared/routing/transaction.ts'
import { localAddresses } from '../../shared/system.ts'
import { transactionOf } from './recipient-resolver.ts'

type Sent = Pick<Envelope, 'origin' | 'tags' | 'reversePath'>

/** `canonical` and `masquerade` for what a session takes; recipients of the envelope are rewritten where the rules are asked. */
export interface AddressRewriting {
  /** A client whose addresses get `append-domain` when they have none. */
  completes(client: Pick<Origin, 'address' | 'user' | 'thisHost'>): boolean
  /** What takes the place of the reverse-path. @throws TableError: answer 451 */
  sender(sent: Sent): Promise<ReversePath>
  /** Edits of the fields of a header section whose addresses change. @throws TableError: answer 451 */
  header(section: Buffer, sent: Sent): Promise<readonly HeaderEdit[]>
}

/** Absent: nothing is rewritten, for nobody. */
export function addressRewriting(configuration: Configuration, tables: TableSet): AddressRewriting | undefined {
  const { canonical, masquerade, appendDomain } = configuration.pipeline.rewriting
  if (canonical.length === 0 && masquerade === undefined && appendDomain === undefined) return undefined
  const local = localAddresses()
  const contextOf = (sent: Sent) => ({ configuration, localAddresses: local, transaction: transactionOf(sent) })
  return {
    completes: (client) =>
      completesHeaders(contextOf({ origin: { kind: 'smtp', ...client }, tags: [], reversePath: null })),
    async sender(sent) {
      const { reversePath } = sent
      if (reversePath === null) return null
      const asked = contextOf(sent)
      const role = { of: 'sender', in: 'envelope' } as const
      return settle(tables, (settled) => rewrittenAddress({ ...asked, tables: settled }, reversePath, role))
    },
    async header(section, sent) {
      const asked = contextOf(sent)
      return rewritesHeaders(asked) ? editsOf(section, (work) => settle(tables, work), asked) : []
    },
  }
}

type Settle = <Result>(work: (tables: TableSet) => Result) => Result | Promise<Result>

/** Addresses looked up before other sessions have their turn. */
const addressesPerTurn = 200

async function editsOf(
  section: Buffer,
  settled: Settle,
  asked: Omit<RoutingContext, 'tables'>,
): Promise<readonly HeaderEdit[]> {
  const completed = completesHeaders(asked) ? asked.configuration.pipeline.rewriting.appendDomain : undefined
  const known = new Map<string, string | undefined>()
  const edits: HeaderEdit[] = []
  for (const field of headerFields(section)) {
    const of = roleOf(field.name)
    const text = of === undefined ? undefined : textOf(field)
    if (of === undefined || text === undefined) continue
    for (const address of addressesIn(text.body)) {
      const key = `${of} ${address.text}`
      if (known.has(key)) continue
      if (known.size % addressesPerTurn === addressesPerTurn - 1) await nextTurn()
      known.set(key, await written(address.text, { of, in: 'headers' }))
    }
    const body = replaceAddresses(text.body, (address) => known.get(`${of} ${address}`))
    if (body !== text.body)
      edits.push({ kind: 'replace', name: field.name, value: fieldValue(field), field: `${text.name}:${body}` })
  }
  return edits

  /** `undefined`: it stays as it is. */
  async function written(address: string, role: AddressRole): Promise<string | undefined> {
    const mailbox = parseMailbox(address)
    const full = mailbox ?? (completed === undefined ? undefined : parseMailbox(`${address}@${completed}`))
    if (full === undefined) return undefined
    const other = await settled((tables) => rewrittenAddress({ ...asked, tables }, full, role))
    return other === mailbox ? undefined : other
  }
}

const senderFields = 'from sender reply-to errors-to return-receipt-to disposition-notification-to'.split(' ')
const recipientFields = 'to cc bcc apparently-to'.split(' ')
const resentFields = { sender: ['from', 'sender', 'reply-to'], recipient: ['to', 'cc', 'bcc'] }

function roleOf(name: string): AddressRole['of'] | undefined {
  const resent = name.startsWith('resent-') ? name.slice('resent-'.length) : undefined
  if (senderFields.includes(name) || resentFields.sender.includes(resent ?? '')) return 'sender'
  if (recipientFields.includes(name) || resentFields.recipient.includes(resent ?? '')) return 'recipient'
  return undefined
}

/** `undefined`: its octets are no UTF-8, and would not survive. */
function textOf({ raw }: HeaderField): { readonly name: string; readonly body: string } | undefined {
  const text = raw.toString('utf8')
  if (text.includes('\u{FFFD}')) return undefined
  const colon = text.indexOf(':')
  return { name: text.slice(0, colon), body: text.slice(colon + 1) }
}
