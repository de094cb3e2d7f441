import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import type { AdminNotice, NoticeLimit } from './model.ts'
import { choiceOf, finish, tagOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { amountOf } from './pipeline-rate.ts'

/** Who is told of mail that should not have been sent. */
export const notifyStatements: Readonly<Record<string, ParseStatement>> = { notify: parseNotify }

const kinds = ['virus', 'spam', 'banned'] as const
const hourMs = 3_600_000
const usualAdminLimit: NoticeLimit = { count: 10, periodMs: hourMs }
const usualSenderLimit: NoticeLimit = { count: 1, periodMs: 24 * hourMs }

/** `notify "address" of virus spam banned [for tag T] [limit 10/1h]`, or `notify senders of bad-header [limit 1/1d]`. */
function parseNotify(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  if (reader.accept('senders')) return parseSenders(draft)
  const to = addressOf(draft)
  reader.expect('of', 'behind the address')
  const of = new Set([choiceOf(reader, kinds, 'what is told')])
  while (reader.accept(',') || kinds.some((kind) => reader.at(kind))) of.add(choiceOf(reader, kinds, 'what is told'))
  let notice: AdminNotice = { to, of: [...of], limit: usualAdminLimit }
  while (!reader.atEnd()) {
    if (reader.accept('for')) {
      reader.expect('tag', 'behind "for"')
      notice = { ...notice, tag: tagOf(reader) }
    } else if (reader.accept('limit')) notice = { ...notice, limit: amountOf(reader) }
    else reader.unexpected('an option of notify', ['for', 'limit'])
  }
  const { notices } = draft.settings
  finish(draft, { notices: { ...notices, admins: [...notices.admins, notice] } })
}

function parseSenders(draft: PipelineDraft): void {
  const { reader } = draft
  const { notices } = draft.settings
  if (notices.badHeader !== undefined)
    reader.fail('duplicate', '"notify senders" is stated already', reader.last.span, 'keep one of the two')
  reader.expect('of', 'behind "senders"')
  reader.expect('bad-header', 'behind "of"')
  finish(draft, { notices: { ...notices, badHeader: reader.accept('limit') ? amountOf(reader) : usualSenderLimit } })
}

function addressOf({ reader }: PipelineDraft): Mailbox {
  const address = reader.string('an address, or senders')
  return (
    parseMailbox(address.text) ??
    reader.fail('value', `"${address.text}" is not an address`, address.span, '"postmaster@example.org", or senders')
  )
}
