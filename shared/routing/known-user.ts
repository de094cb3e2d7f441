import type { LocalAction, Table, UserSource } from '../config/model.ts'
import { domainOf, type Mailbox } from '../mail/address.ts'
import type { RoutingContext } from './transaction.ts'

/**
 * The userbase of the action, else `users` of pipeline.conf, the first source that knows; virtual users that one `user` owns are
 * known by being listed. With `verify-mailbox` the LMTP server of the action must know the mailbox, too.
 * @throws TableError when a source that is asked cannot tell
 */
export function isKnownUser(context: RoutingContext, action: LocalAction, user: string, mailbox: Mailbox): boolean {
  const { users } = context.configuration.pipeline
  if (!isListed(context, action, user, mailbox)) return false
  return users.kind !== 'sources' || !users.verifiesMailbox || hasLmtpMailbox(context, action, user, mailbox)
}

function isListed(context: RoutingContext, action: LocalAction, user: string, mailbox: Mailbox): boolean {
  if (action.userbase !== undefined) return context.tables.lookup(action.userbase, user, 'userinfo') !== undefined
  if (action.user !== undefined && action.virtual !== undefined) return true
  const { users } = context.configuration.pipeline
  if (users.kind !== 'sources') return knows(users, context, action, user, mailbox)
  const isLmtp = action.method.kind === 'lmtp'
  return users.sources.some((one) => (isLmtp || one.kind !== 'lmtp') && knows(one, context, action, user, mailbox))
}

function knows(
  source: UserSource,
  context: RoutingContext,
  action: LocalAction,
  user: string,
  mailbox: Mailbox,
): boolean {
  switch (source.kind) {
    case 'any':
      return true
    case 'lmtp':
      return hasLmtpMailbox(context, action, user, mailbox)
    case 'table':
    case 'passwd': {
      const table = source.kind === 'table' ? source.table : passwdTable(source.file)
      const { tables } = context
      return (
        tables.contains(table, user, 'userinfo') || tables.contains(table, `${user}@${domainOf(mailbox)}`, 'userinfo')
      )
    }
  }
}

/** Asks with the path that delivery will use: the bare user, or with `rcpt-to` the whole address (section 8.1). */
function hasLmtpMailbox(
  { configuration, tables }: RoutingContext,
  { method, user: owner }: LocalAction,
  user: string,
  mailbox: Mailbox,
): boolean {
  if (method.kind !== 'lmtp') return true
  const destination = configuration.pipeline.sockets.get(method.destination) ?? method.destination
  const source = { kind: 'lmtp', destination, helo: configuration.hostname } as const
  const table: Table = { name: '<users>', source, at: { file: '', line: 0, column: 0 } }
  return tables.contains(table, method.rcptTo ? mailbox : (owner ?? user), 'userinfo')
}

/** The passwd file among the sources: it has home folders, too. */
export function accountsOf(users: RoutingContext['configuration']['pipeline']['users']): Table | undefined {
  const sources = users.kind === 'sources' ? users.sources : [users]
  const passwd = sources.find((one) => one.kind === 'passwd')
  return passwd?.kind === 'passwd' ? passwdTable(passwd.file) : undefined
}

function passwdTable(file: string): Table {
  return { name: '<users>', source: { kind: 'file', path: file, format: 'passwd' }, at: { file, line: 0, column: 0 } }
}
