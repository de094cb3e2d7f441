import type { CopyRow, MessageRow } from './message-draft.ts'

/** Columns of `messages` and `copies` that both databases have, in the order of `MessageColumns` and `CopyColumns`. */
export const messageColumns = 'kind, sender, size, client, "user", listener, header_id, tags, subject'
export const copyColumns = 'address, state, stage, rules, class, remote, next_at, at'

/** As a row has them: words that stand in many rows by their numbers, NULL for what no line told. */
export type MessageColumns = readonly [
  kind: number,
  sender: string | null,
  size: number | null,
  client: string | null,
  user: string | null,
  listener: number | null,
  headerId: string | null,
  tags: number | null,
  subject: string | null,
]

export type CopyColumns = readonly [
  address: string | null,
  state: number,
  stage: number | null,
  rules: number | null,
  about: number | null,
  remote: string | null,
  nextAt: number | null,
  at: number,
]

/** Texts of the numbers of words. */
export interface NumberedWords {
  text(number: number): string
}

export function messageRowOf(columns: MessageColumns, words: NumberedWords): MessageRow {
  const [kind, sender, size, client, user, listener, headerId, tags, subject] = columns
  const message: MessageRow = { kind }
  if (sender !== null) message.sender = sender
  if (size !== null) message.sizeBytes = size
  if (client !== null) message.client = client
  if (user !== null) message.user = user
  if (listener !== null) message.listener = words.text(listener)
  if (headerId !== null) message.headerId = headerId
  if (tags !== null) message.tags = words.text(tags)
  if (subject !== null) message.subject = subject
  return message
}

export function copyRowOf(columns: CopyColumns, words: NumberedWords): CopyRow {
  const [address, state, stage, rules, about, remote, nextAt, at] = columns
  const copy: CopyRow = { state, at }
  if (address !== null) copy.address = address
  if (stage !== null) copy.stage = words.text(stage)
  if (rules !== null) copy.rules = words.text(rules)
  if (about !== null) copy.class = words.text(about)
  if (remote !== null) copy.remote = remote
  if (nextAt !== null) copy.nextAt = nextAt
  return copy
}
