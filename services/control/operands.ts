import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { Tag } from '../../shared/mail/tag.ts'
import { UsageError } from './command.ts'

/** @throws UsageError */
export function mailboxOf(text: string): Mailbox {
  const parsed = parseMailbox(text)
  if (parsed === undefined) throw new UsageError(`'${text}' is not an address like jane@example.org`)
  return parsed
}

/** @throws UsageError */
export function tagOf(word: string): Tag {
  try {
    return tag(word)
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}
