import type { Table } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Logger } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { isAscii } from '../../shared/mail/ascii-domain.ts'
import { isTemporary } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { parseRcpt } from './mail-command.ts'
import type { Resolution } from './reception.ts'

/** Answers EXPN (RFC 5321 §3.5) of a client at this address. */
export type AnswerExpn = (argument: string, address: string) => Promise<Reply>

const syntax: Reply = { code: 501, enhanced: '5.5.4', text: 'Syntax: EXPN list' }
const notYours: Reply = { code: 550, enhanced: '5.7.1', text: 'Lists are not yours to ask for' }
/** Of a user, and of nobody, alike: EXPN does not tell who has a mailbox. */
const noList: Reply = { code: 550, enhanced: '5.1.1', text: 'There is no such list here' }
const beyondAscii: Reply = { code: 550, enhanced: '5.6.8', text: 'A member has an address beyond ASCII' }
const unavailable: Reply = { code: 451, enhanced: '4.3.0', text: 'The list cannot be read now, try again later' }

export interface ExpnParts {
  /** Networks of the clients that may ask. */
  readonly clients: Table
  readonly tables: Pick<TableSet, 'matchesAddress' | 'answering'>
  /** What becomes of mail from this host for that address. */
  readonly expand: (mailbox: Mailbox) => Promise<Resolution>
  /** Domain of a list that is named without one. */
  readonly domain: string
  readonly log: Logger
}

export function createExpn({ clients, tables, expand, domain, log }: ExpnParts): AnswerExpn {
  async function membersOf(list: Mailbox): Promise<Reply> {
    const resolution = await expand(list)
    if (resolution.kind === 'rejected') return isTemporary(resolution.reply) ? resolution.reply : noList
    const { recipients } = resolution
    if (recipients.every(({ mailbox, target }) => mailbox === list && target === undefined)) return noList
    // Which commands and files an alias leads to is nobody's business: the list itself stands for them.
    const members = [...new Set(recipients.map(({ mailbox }) => mailbox))]
    if (!members.every((member) => isAscii(member))) return beyondAscii
    return { code: 250, enhanced: '2.1.5', text: members.map((member) => `<${member}>`).join('\n') }
  }

  return async (argument, address) => {
    const list = listOf(argument, domain)
    if (list === undefined) return syntax
    try {
      const may = await settle(tables, (settled) => settled.matchesAddress(clients, address))
      return may ? await membersOf(list) : notYours
    } catch (error) {
      log.warn({ err: error, list }, 'a list was asked for, and could not be read')
      return unavailable
    }
  }
}

/** `staff`, `staff@example.org`, or either in angle brackets. */
function listOf(argument: string, domain: string): Mailbox | undefined {
  const path = argument.startsWith('<') ? argument : `<${argument}>`
  const rules = { maxMessageBytes: 0, dsn: false, smtpUtf8: false, requireTls: false }
  const command = parseRcpt(`TO:${path}`, { ...rules, hostname: domain, completesAddresses: true })
  return command.kind === 'rcpt' ? command.mailbox : undefined
}
