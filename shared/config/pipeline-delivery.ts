import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { resolvePath } from './path.ts'

/** What local delivery may do on this host. */
export const deliveryStatements: Readonly<Record<string, ParseStatement>> = {
  mbox: parseMbox,
  mailbox: parseMailbox,
  mda: parseMda,
  forward: parseForward,
}

/** `mbox FOLDER`: where `<user>` is the mailbox file of a user. */
function parseMbox(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const folder = reader.string('the folder of the mailboxes')
  finish(draft, { mailboxes: resolvePath(folder.text, folder.span.file) })
}

/** `mailbox full as-said | temporary [for DURATION] | permanent`. */
function parseMailbox(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('full', 'behind "mailbox"')
  const kind = choiceOf(reader, ['as-said', 'temporary', 'permanent'] as const, 'what a full mailbox means')
  if (kind !== 'temporary' || !reader.accept('for')) return finish(draft, { fullMailbox: { kind } })
  finish(draft, { fullMailbox: { kind, forMs: reader.duration('the age from which it is for good') } })
}

/** `mda enable | disable`. */
function parseMda(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  finish(draft, { mda: { enabled: choiceOf(reader, ['enable', 'disable'] as const, 'a choice') === 'enable' } })
}

/** `forward files FOLDER | disable`: whether users may send their mail on. */
function parseForward(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('files', 'behind "forward"')
  if (reader.accept('disable')) return finish(draft, {})
  const folder = reader.string('the folder of the home folders')
  finish(draft, { forwardFiles: resolvePath(folder.text, folder.span.file) })
}
