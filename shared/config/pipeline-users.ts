import type { Span } from './diagnostic.ts'
import type { UserSource } from './model.ts'
import { finish, namedFile } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { atTables, parseTables } from './table-grammar.ts'

/** Who there is. */
export const userStatements: Readonly<Record<string, ParseStatement>> = { users: parseUsers }

/** `users passwd FILE | from any | from SOURCE ... [verify-mailbox]`, a source being a table, `lmtp` or `passwd FILE`. */
function parseUsers(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.at('passwd')) return finish(draft, { users: sourceOf(draft) })
  reader.expect('from', 'or "passwd" behind "users"')
  if (reader.accept('any')) return finish(draft, { users: { kind: 'any' } })
  const { span } = reader.peek()
  if (reader.at('verify-mailbox'))
    reader.fail('incomplete', 'no source stands before "verify-mailbox"', span, 'users from <table> verify-mailbox')
  const sources = [sourceOf(draft)]
  while (
    !reader.at('verify-mailbox') &&
    (reader.at('any') || reader.at('lmtp') || reader.at('passwd') || atTables(reader))
  )
    sources.push(sourceOf(draft))
  const verifiesMailbox = reader.accept('verify-mailbox')
  checkSources(draft, sources, verifiesMailbox, span)
  const [only] = sources
  const users =
    only !== undefined && sources.length === 1 && !verifiesMailbox
      ? only
      : ({ kind: 'sources', sources, verifiesMailbox } as const)
  finish(draft, { users })
}

function sourceOf(draft: PipelineDraft): UserSource {
  const { reader } = draft
  if (reader.accept('lmtp')) return { kind: 'lmtp' }
  if (reader.at('any'))
    reader.fail('conflict', '"any" knows everybody', reader.peek().span, 'write it alone: users from any')
  if (!reader.accept('passwd')) return { kind: 'table', table: parseTables(draft.policy, 'either', '"users"') }
  return { kind: 'passwd', file: namedFile(draft, 'the passwd file') }
}

function checkSources(
  { reader }: PipelineDraft,
  sources: readonly UserSource[],
  verifiesMailbox: boolean,
  span: Span,
): void {
  const servers = sources.filter(({ kind }) => kind === 'lmtp').length
  if (servers > 1) reader.fail('duplicate', '"lmtp" is there twice', span, 'keep one of the two')
  if (verifiesMailbox && servers > 0) {
    const hint = 'remove "lmtp": with verify-mailbox a user is in a table and has a mailbox'
    reader.fail('conflict', 'a user that "lmtp" knows has a mailbox', span, hint)
  }
}
