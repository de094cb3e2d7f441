import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { resolvePath } from './path.ts'

/** What local delivery may do on this host. */
export const deliveryStatements: Readonly<Record<string, ParseStatement>> = {
  mbox: parseMbox,
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
