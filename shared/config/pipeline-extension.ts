import type { ExtensionSettings } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** Which extensions of SMTP are offered, and how far they go. */
export const extensionStatements: Readonly<Record<string, ParseStatement>> = {
  smtputf8: parseSmtpUtf8,
  'future-release': parseFutureRelease,
  etrn: parseClients('etrn'),
  expn: parseClients('expn'),
}

/** `smtputf8 on` or `off`. */
function parseSmtpUtf8(draft: PipelineDraft): void {
  draft.reader.next()
  change(draft, { smtpUtf8: choiceOf(draft.reader, ['on', 'off'] as const, '"on" or "off"') === 'on' })
}

/** `future-release max 7d`. */
function parseFutureRelease(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('max', 'behind "future-release"')
  const { span } = reader.peek()
  const maxHoldMs = reader.duration('max')
  if (maxHoldMs < 1_000 || maxHoldMs > 366 * 86_400_000) reader.fail('value', 'it is from 1s to 366d', span)
  change(draft, { maxHoldMs })
}

/** `etrn from <table>`, `expn from <table>`. */
function parseClients(word: 'etrn' | 'expn'): ParseStatement {
  return (draft) => {
    draft.reader.next()
    draft.reader.expect('from', `behind "${word}"`)
    change(draft, { [word]: parseTables(draft.policy, 'either', `"${word} from"`) })
  }
}

function change(draft: PipelineDraft, extensions: Partial<ExtensionSettings>): void {
  finish(draft, { extensions: { ...draft.settings.extensions, ...extensions } })
}
