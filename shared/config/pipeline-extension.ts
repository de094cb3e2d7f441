import type { ExtensionSettings } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** Which extensions of SMTP are offered, and how far they go. */
export const extensionStatements: Readonly<Record<string, ParseStatement>> = {
  smtputf8: parseSmtpUtf8,
}

/** `smtputf8 on` or `off`. */
function parseSmtpUtf8(draft: PipelineDraft): void {
  draft.reader.next()
  change(draft, { smtpUtf8: choiceOf(draft.reader, ['on', 'off'] as const, '"on" or "off"') === 'on' })
}

function change(draft: PipelineDraft, extensions: Partial<ExtensionSettings>): void {
  finish(draft, { extensions: { ...draft.settings.extensions, ...extensions } })
}
