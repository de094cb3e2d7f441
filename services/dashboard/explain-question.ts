import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { Transaction } from '../../shared/routing/transaction.ts'

/** The form of the page Rules, as it was sent. */
export interface ExplainForm {
  readonly rcpt: string
  readonly from: string
  readonly client: string
  readonly helo: string
  readonly user: string
  readonly tag: string
  readonly tls: boolean
}

export interface ExplainQuestion {
  readonly recipient: Mailbox
  readonly transaction: Transaction
}

/** What the form asks, or what is wrong with it. */
export function parseQuestion(form: ExplainForm): ExplainQuestion | { readonly problem: string } {
  const recipient = parseMailbox(form.rcpt)
  if (recipient === undefined) return { problem: `'${form.rcpt}' is not an address like jane@example.org` }
  const isNull = form.from === '' || form.from === '<>'
  const reversePath = isNull ? null : parseMailbox(form.from)
  if (reversePath === undefined) return { problem: `'${form.from}' is not an address like jane@example.org` }
  const tags = form.tag.split(/[\s,]+/).filter((word) => word !== '')
  const long = tags.find((word) => word.length > 32 || !/^[\x21-\x7e]+$/.test(word))
  if (long !== undefined) return { problem: `'${long}' is not a tag` }
  return {
    recipient,
    transaction: {
      peer: form.client === '' ? 'local' : { address: form.client },
      tls: form.tls,
      tags: tags.map((word) => tag(word)),
      reversePath,
      ...(form.helo === '' ? {} : { helo: form.helo }),
      ...(form.user === '' ? {} : { user: form.user }),
    },
  }
}
