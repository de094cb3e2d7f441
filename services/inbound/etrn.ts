import type { Table } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Logger } from '../../shared/log.ts'
import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import type { Reply } from '../../shared/mail/reply.ts'

/** Has what waits for a domain tried now; how many messages that are. */
export type Flush = (destination: { readonly domain: string; readonly subdomains: boolean }) => Promise<number>

/** Answers ETRN (RFC 1985) of a client at this address. */
export type AnswerEtrn = (argument: string, address: string) => Promise<Reply>

const syntax: Reply = { code: 501, enhanced: '5.5.4', text: 'Syntax: ETRN domain' }
const busy: Reply = { code: 458, enhanced: '4.3.2', text: 'Another queue run is at work, try again later' }

export interface EtrnParts {
  /** Networks of the clients that may ask. */
  readonly clients: Table
  readonly tables: Pick<TableSet, 'matchesAddress' | 'answering'>
  readonly flush: Flush
  readonly log: Logger
}

export function createEtrn({ clients, tables, flush, log }: EtrnParts): AnswerEtrn {
  let running = false

  async function start(destination: Parameters<Flush>[0]): Promise<Reply> {
    running = true
    try {
      const count = await flush(destination)
      return { code: 250, enhanced: '2.0.0', text: `Queuing for ${destination.domain} started, messages: ${count}` }
    } finally {
      running = false
    }
  }

  return async (argument, address) => {
    const destination = destinationOf(argument)
    if (destination === undefined) return syntax
    const { domain } = destination
    try {
      const may = await settle(tables, (settled) => settled.matchesAddress(clients, address))
      if (!may) return { code: 459, enhanced: '4.7.1', text: `Queuing for ${domain} is not yours to ask for` }
      return running ? busy : await start(destination)
    } catch (error) {
      log.warn({ err: error, domain }, 'a queue run was asked for, and could not be made')
      return { code: 458, enhanced: '4.3.0', text: `Queuing for ${domain} cannot be started now` }
    }
  }
}

/** A domain, or `@domain` for it and what is below; queues by name (`#`) are not given away. */
function destinationOf(argument: string): Parameters<Flush>[0] | undefined {
  const subdomains = argument.startsWith('@')
  const domain = asciiDomain(argument.slice(subdomains ? 1 : 0))
  return domain !== undefined && isDomain(domain) ? { domain, subdomains } : undefined
}
